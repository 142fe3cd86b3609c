// Keeps ages up to date in the browser, turns the page grey when the server no longer answers, gives dialogs the colour
// scheme of the page, puts the cursor into the first field of one that asks for something to be typed, and shows at once
// that a button was pressed. data-sb-now holds the server's clock: the clock of this computer may be wrong.
(() => {
  if (window.switchboardClock) return;
  const SILENT_AFTER_SECONDS = 45;
  let serverTime = null;
  let arrived = Date.now();
  const span = (s) =>
    s < 90 ? `${Math.round(s)} s` : s < 5400 ? `${Math.round(s / 60)} min`
      : s < 129600 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} days`;
  const write = (element, text) => { if (element.textContent !== text) element.textContent = text; };
  const tick = () => {
    // Dialogs stand outside of the app's element, and only that has the colour scheme.
    const app = document.querySelector(".stApp");
    if (app) document.documentElement.style.colorScheme = getComputedStyle(app).colorScheme;
    const heartbeat = document.querySelector("[data-sb-now]");
    if (heartbeat && heartbeat.dataset.sbNow !== serverTime) {
      serverTime = heartbeat.dataset.sbNow;
      arrived = Date.now();
    }
    if (serverTime === null) return;
    const silence = (Date.now() - arrived) / 1000;
    const now = Number(serverTime) + silence;
    for (const element of document.querySelectorAll("[data-sb-at]"))
      write(element, span(Math.max(0, now - Number(element.dataset.sbAt))));
    for (const element of document.querySelectorAll("[data-sb-silence]")) write(element, span(silence));
    document.documentElement.classList.toggle("sb-old", silence > SILENT_AFTER_SECONDS);
  };
  let focused = null;
  const focusFirstField = () => {
    const field = document.querySelector("[role=dialog] .st-key-ask_fields input");
    if (field === focused) return;
    focused = field;
    // Whoever is typing already is not interrupted.
    if (field && document.activeElement?.tagName !== "INPUT") field.focus();
  };
  new MutationObserver(focusFirstField).observe(document.body, { childList: true, subtree: true });
  // A click is answered at once, however long the server takes: its button is busy until no script runs any more.
  const busy = new Map();
  const settle = () => {
    if (document.querySelector(".stApp")?.dataset.testScriptState !== "notRunning") return;
    for (const [button, since] of busy) {
      if (Date.now() - since < 400) continue;
      button.removeAttribute("aria-busy");
      busy.delete(button);
    }
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-testid=stButton] button");
    if (!button || button.disabled) return;
    button.setAttribute("aria-busy", "true");
    busy.set(button, Date.now());
  }, true);
  setInterval(settle, 200);
  window.switchboardClock = setInterval(tick, 1000);
  tick();
})();
