// Before anything is drawn: the scheme that the reader chose on another page.
let chosen = null;
try {
  chosen = localStorage.getItem("theme");
} catch {
  // Storage may be forbidden; the system's scheme it is.
}
document.body.dataset.theme = chosen || "auto";
