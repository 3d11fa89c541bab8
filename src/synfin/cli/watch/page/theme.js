// Before anything is drawn: the scheme that the reader chose, here or on another page of the site.
try {
  document.documentElement.dataset.theme = localStorage.getItem("theme") || "auto";
} catch {
  // Storage may be forbidden; the system's scheme it is.
}
