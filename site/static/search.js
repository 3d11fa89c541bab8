// Finds pages by Pagefind's index of the page's language; what is written is the reader's, and never markup.

const form = document.querySelector("#search-form");
const field = document.querySelector("#search-words");
const state = document.querySelector("#search-state");
const list = document.querySelector("#search-results");
const MOST = 30;

/** Marked text of Pagefind -> nodes: only <mark> is markup. @param {string} excerpt */
function marked(excerpt) {
  const shown = new DOMParser().parseFromString(excerpt, "text/html").body;
  return [...shown.childNodes].map((node) => {
    if (node.nodeName !== "MARK") {
      return document.createTextNode(node.textContent ?? "");
    }
    const mark = document.createElement("mark");
    mark.textContent = node.textContent;
    return mark;
  });
}

let latest = 0;

/** @param {any} pagefind @param {string} words */
async function find(pagefind, words) {
  latest += 1;
  const mine = latest;
  const found = words.trim() ? (await pagefind.search(words)).results : [];
  const pages = await Promise.all(found.slice(0, MOST).map((/** @type {any} */ each) => each.data()));
  if (mine !== latest) {
    return;
  }
  const items = pages.map((page) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = page.url;
    link.textContent = page.meta.title;
    const text = document.createElement("p");
    text.append(...marked(page.excerpt));
    item.append(link, text);
    return item;
  });
  list.replaceChildren(...items);
  const told = found.length ? state.dataset.some.replace("{}", String(found.length)) : state.dataset.none;
  state.textContent = words.trim() ? told : "";
}

async function begin() {
  const words = new URLSearchParams(location.search).get("q") ?? "";
  field.value = words;
  try {
    const pagefind = await import(new URL(list.dataset.index, location.href).href);
    await pagefind.init();
    form.addEventListener("submit", (event) => event.preventDefault());
    field.addEventListener("input", () => find(pagefind, field.value));
    await find(pagefind, words);
  } catch (error) {
    state.textContent = `${state.dataset.fails} ${error}`;
  }
}

begin();
