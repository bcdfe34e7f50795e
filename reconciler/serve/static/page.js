// Keeps an open page fresh. Without it the page is complete, only not live.
"use strict";
{
  const PATIENCE = 45000; // ms without a sign from the daemon (it gives one every 15 s)
  const PAUSE = 3000; // ms until a closed stream is opened again
  const note = document.getElementById("live");
  let stream, watch, fetching = false, again = false;

  function say(live, words) {
    if (document.documentElement.dataset.live === live) return;
    document.documentElement.dataset.live = live;
    note.textContent = words;
    note.hidden = false;
  }

  function lost() {
    const at = new Date().toISOString().slice(11, 19);
    say("off", `Not live since ${at} UTC: what this page shows may no longer be so`);
  }

  // What a link or a summary is, in the old page and in the new one.
  const nameOf = (element) => element.getAttribute("href") ?? element.parentElement.id;

  // Sections that did not change stay as they are; in the others what was open stays open, and focus stays.
  function show(fresh) {
    for (const section of document.querySelectorAll("main > section")) {
      const next = fresh.getElementById(section.id);
      if (!next) continue;
      for (const details of section.querySelectorAll("details[open]")) {
        const same = next.querySelector(`#${CSS.escape(details.id)}`);
        if (same) same.open = true;
      }
      if (section.isEqualNode(next)) continue;
      const focused = section.contains(document.activeElement) && nameOf(document.activeElement);
      section.replaceWith(document.adoptNode(next));
      if (focused) [...next.querySelectorAll("a, summary")].find((e) => nameOf(e) === focused)?.focus({preventScroll: true});
    }
    document.title = fresh.title;
  }

  async function refresh() {
    if (fetching || document.hidden) {
      again = true;
      return;
    }
    fetching = true;
    again = false;
    try {
      const answer = await fetch("/", {headers: {Accept: "text/html"}, cache: "no-store", signal: AbortSignal.timeout(PATIENCE)});
      if (!answer.ok) throw new Error(answer.statusText);
      show(new DOMParser().parseFromString(await answer.text(), "text/html"));
      say("on", "Live");
    } catch {
      lost();
    } finally {
      fetching = false;
      if (again) refresh();
    }
  }

  function listen() {
    clearTimeout(watch);
    stream?.close();
    stream = new EventSource("/live");
    stream.onmessage = () => {
      expect(PATIENCE);
      refresh();
    };
    stream.onerror = () => {
      lost();
      if (stream.readyState === EventSource.CLOSED) expect(PAUSE);
    };
    expect(PATIENCE);
  }

  function expect(time) {
    clearTimeout(watch);
    watch = setTimeout(() => {
      lost();
      listen();
    }, time);
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && again) refresh();
  });
  listen();
}
