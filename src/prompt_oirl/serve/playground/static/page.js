// Forms send what they hold as JSON; the answer is HTML that goes into the element named by data-into.

async function send(url, options = {}) {
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin", ...options });
  } catch {
    throw new Error("The service cannot be reached.");
  }
  if (response.ok) return response.text();
  const problem = await response.json().catch(() => ({}));
  throw new Error(problem.error?.message ?? problem.detail ?? `The service answered with status ${response.status}.`);
}

function request(form, submitter) {
  if (form.method === "get") return send(form.action);
  const fields = Object.fromEntries(new FormData(form, submitter));
  const headers = { "content-type": "application/json" };
  return send(form.action, { method: "POST", headers, body: JSON.stringify(fields) });
}

async function submit(form, submitter) {
  if (form.ariaBusy === "true") return;
  const message = document.getElementById(form.dataset.message);
  form.ariaBusy = "true";
  if (message) message.textContent = "";
  try {
    const html = await request(form, submitter);
    if (form.dataset.then) location.assign(form.dataset.then);
    else if (form.dataset.into) fill(document.getElementById(form.dataset.into), html);
    else message.textContent = html;
    for (const button of form.querySelectorAll("[name=reward]")) {
      button.setAttribute("aria-pressed", String(button === submitter));
    }
  } catch (error) {
    if (message) message.textContent = error.message;
  } finally {
    form.ariaBusy = "false";
  }
}

function fill(place, html) {
  place.innerHTML = html;
  place.querySelectorAll("[data-load]").forEach(load);
  const announced = place.querySelector("[data-announced]");
  if (announced) document.getElementById("announcement").textContent = announced.innerText;
}

async function load(place) {
  if (place.dataset.loaded) return;
  place.dataset.loaded = "yes";
  try {
    fill(place, await send(place.dataset.load));
  } catch (error) {
    place.textContent = error.message;
    delete place.dataset.loaded;
  }
}

function choose(tab) {
  for (const each of tab.parentElement.querySelectorAll("[role=tab]")) {
    const isChosen = each === tab;
    each.setAttribute("aria-selected", String(isChosen));
    each.tabIndex = isChosen ? 0 : -1;
    const view = document.getElementById(each.getAttribute("aria-controls"));
    view.hidden = !isChosen;
    if (isChosen) view.querySelectorAll("[data-load]").forEach(load);
  }
}

function neighbour(tab, key) {
  const tabs = [...tab.parentElement.querySelectorAll("[role=tab]")];
  const to = { ArrowLeft: tabs.indexOf(tab) - 1, ArrowRight: tabs.indexOf(tab) + 1, Home: 0, End: -1 }[key];
  return to === undefined ? undefined : tabs.at(to % tabs.length);
}

document.addEventListener("submit", (event) => {
  event.preventDefault();
  submit(event.target, event.submitter);
});

document.addEventListener("click", (event) => {
  const tab = event.target.closest("[role=tab]");
  if (tab) choose(tab);
  const more = event.target.closest("[data-reveals]");
  if (more) {
    document.getElementById(more.dataset.reveals).hidden = false;
    more.remove();
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.matches("textarea")) {
    event.target.form.requestSubmit();
  }
  const next = event.target.matches("[role=tab]") ? neighbour(event.target, event.key) : undefined;
  if (next) {
    event.preventDefault();
    choose(next);
    next.focus();
  }
});
