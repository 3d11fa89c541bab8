// A page that is read from a folder may load no module: it says so. Anywhere else the playground begins.
{
  const fromFolder = location.protocol === "file:";
  for (const part of document.querySelectorAll("main, .bar, #from-folder")) {
    /** @type {HTMLElement} */ (part).hidden = fromFolder !== (part.id === "from-folder");
  }
  if (!fromFolder) {
    const script = document.createElement("script");
    script.type = "module";
    script.src = "main.js";
    document.head.append(script);
  }
}
