// Guesses become buttons: the one that is pressed is marked right or wrong, and the answer opens.
// Without this script they are a list, and the answer opens by itself.

/** @param {HTMLElement} group */
function makeButtons(group) {
  const right = Number(group.dataset.right);
  const items = [...group.querySelectorAll("li")];
  const buttons = items.map((item, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...item.childNodes);
    button.addEventListener("click", () => {
      buttons.forEach((each, number) => {
        each.setAttribute("aria-pressed", String(each === button));
        each.classList.toggle("right", number + 1 === right);
        each.classList.toggle("wrong", each === button && number + 1 !== right);
      });
      const answer = group.nextElementSibling;
      if (answer instanceof HTMLDetailsElement) {
        answer.open = true;
      }
    });
    item.append(button);
    return button;
  });
}

for (const group of document.querySelectorAll(".guess")) {
  if (group instanceof HTMLElement) {
    makeButtons(group);
  }
}

// An experiment runs on its page by the playground's modules; a page that is read from a folder may load none.
for (const form of document.querySelectorAll("form.experiment")) {
  if (!(form instanceof HTMLElement)) continue;
  const note = form.querySelector("p.needs-http");
  if (location.protocol !== "file:") {
    import(new URL(form.dataset.module ?? "", document.baseURI).href).then((module) => module.begin(form));
  } else if (note instanceof HTMLElement) {
    note.hidden = false;
  }
}
