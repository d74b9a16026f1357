// Keeps the page current: the journal's events say when, the page itself is asked what, and only what changed is put in place.
const BUSY = 1000, IDLE = 5000, SOON = 120;
let timer = 0, asking = false, again = false;

function parts(root) {
  return [...root.querySelectorAll("main > [id]")];
}

function put(fresh) {
  const here = new Map(parts(document).map(part => [part.id, part]));
  const main = document.querySelector("main");
  let before = null;
  for (const part of parts(fresh)) {
    const old = here.get(part.id);
    here.delete(part.id);
    if (!old) {
      const added = document.importNode(part, true);
      main.insertBefore(added, before ? before.nextSibling : main.firstChild);
      before = added;
      continue;
    }
    before = old;
    if (old.outerHTML === part.outerHTML) continue;
    if (part.id === "now") {
      // The spoken sentence stays the same element: it is read out when its text changes, and only then.
      const said = old.querySelector("#headline"), says = part.querySelector("#headline").textContent;
      if (said.textContent !== says) said.textContent = says;
      old.className = part.className;
      [...old.children].slice(1).forEach(child => child.remove());
      [...part.children].slice(1).forEach(child => old.append(document.importNode(child, true)));
      continue;
    }
    if (old.contains(document.activeElement) || (getSelection().toString() && getSelection().containsNode(old, true))) {
      if (part.id !== "log") continue; // somebody reads or works there
    }
    const log = old.querySelector(".log"), fresher = part.querySelector(".log");
    if (log && fresher) {
      const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
      if (log.textContent !== fresher.textContent && !getSelection().toString()) log.textContent = fresher.textContent;
      if (atEnd) log.scrollTop = log.scrollHeight;
      continue;
    }
    old.replaceChildren(...[...part.childNodes].map(child => document.importNode(child, true)));
  }
  here.forEach(part => part.remove());
  document.title = fresh.title;
  document.getElementById("icon").href = fresh.getElementById("icon").getAttribute("href");
  document.body.toggleAttribute("data-busy", fresh.body.hasAttribute("data-busy"));
}

async function ask() {
  if (asking) { again = true; return; }
  asking = true;
  let lost = true;
  try {
    const answer = await fetch("/", {cache: "no-store", signal: AbortSignal.timeout(5000)});
    if (answer.status === 401) location.reload();
    if (answer.ok) {
      put(new DOMParser().parseFromString(await answer.text(), "text/html"));
      lost = false;
    }
  } catch { /* said below */ }
  document.getElementById("lost").hidden = !lost;
  asking = false;
  plan(again ? SOON : document.body.hasAttribute("data-busy") ? BUSY : IDLE);
  again = false;
}

function plan(delay) {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(ask, delay);
}

const log = document.querySelector(".log");
if (log) log.scrollTop = log.scrollHeight;
const events = new EventSource("/events");
events.onmessage = () => asking ? again = true : plan(SOON);
document.addEventListener("visibilitychange", () => plan(SOON));
plan(document.body.hasAttribute("data-busy") ? BUSY : IDLE);
