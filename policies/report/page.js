"use strict";
// The page reads without this script; with it, findings can be filtered, and the picture leads to them.
// The state of the filters is the URL's hash (#stack=dev&status=fail), so that a link shows what its sender saw.
(() => {
  const form = document.getElementById("filters");
  const shown = document.getElementById("shown");
  const fields = [...form.elements].filter((field) => field.name);
  const cards = [...document.querySelectorAll(".card")].map((node) => ({
    node,
    head: [...node.children].filter((part) => ["SUMMARY", "DL"].includes(part.tagName)).map((part) => part.textContent).join(" ").toLowerCase(),
    controls: node.dataset.controls.split(" "),
    wasOpen: node.open,
    passed: node.querySelector(".passed"),
    items: [...node.querySelectorAll("li")].map((item) => ({
      node: item,
      data: item.closest("[data-status]").dataset, // of the item itself, or of the list of what passed
      text: [...item.childNodes].filter((part) => part.tagName !== "I").map((part) => part.textContent)
        .concat(item.closest("[data-status]").dataset.type).join(" ").toLowerCase(),
      places: [...item.querySelectorAll("i")],
    })),
  }));
  const total = cards.reduce((sum, card) => sum + card.items.reduce((part, item) => part + item.places.length, 0), 0);
  let extra = {}; // filters that have no field: the resource that was chosen in the picture, a control

  const wanted = () => {
    const state = {};
    for (const field of fields) if (field.value.trim()) state[field.name] = field.value.trim();
    return { ...state, ...extra };
  };

  const show = (state) => {
    const words = (state.text || "").toLowerCase().split(/\s+/).filter(Boolean);
    const filtered = Object.keys(state).length > 0;
    let count = 0;
    for (const card of cards) {
      const data = card.node.dataset;
      const fits = (!state.severity || state.severity === data.severity) && (!state.tool || state.tool === data.tool) &&
        (!state.control || card.controls.includes(state.control));
      let open = 0, passed = 0;
      for (const item of card.items) {
        const could = fits && (!state.status || state.status === item.data.status) &&
          (!state.cloud || state.cloud === item.data.cloud) &&
          words.every((word) => item.text.includes(word) || card.head.includes(word));
        let places = 0;
        for (const place of item.places) {
          const here = could && (!state.stack || state.stack === place.textContent) &&
            (!state.resource || state.resource === place.dataset.r);
          place.hidden = filtered && !here;
          if (here) places += 1;
        }
        item.node.hidden = filtered && !places;
        if (item.data.status === "pass") passed += places; else open += places;
      }
      count += open + passed;
      card.node.hidden = filtered && !(open + passed);
      if (!filtered) card.node.open = card.wasOpen;
      else if (!card.node.hidden && (state.resource || state.status || state.control)) card.node.open = open > 0 || state.status === "pass";
      if (card.passed) {
        card.passed.hidden = filtered && !passed;
        for (const type of card.passed.querySelectorAll("div")) type.hidden = !type.querySelector("li:not([hidden])");
        card.passed.open = filtered && passed > 0 && Boolean(state.resource || state.status === "pass");
      }
    }
    for (const heading of document.querySelectorAll(".group")) {
      heading.hidden = !cards.some((card) => !card.node.hidden && card.node.dataset.worst === heading.dataset.group);
    }
    document.getElementById("nothing").hidden = count > 0 || !cards.length;
    shown.textContent = filtered ? `${count} of ${total} findings.` : `All ${total} findings.`;
    for (const name of ["resource", "control"]) if (state[name]) shown.append(chip(name, state[name]));
    for (const link of document.querySelectorAll(".picture a.chosen")) link.classList.remove("chosen");
    if (state.resource) pick(state.resource)?.classList.add("chosen");
  };

  const pick = (number) => document.querySelector(`.picture a[data-r="${CSS.escape(number)}"]`);

  const chip = (name, value) => {
    const node = document.createElement("button");
    node.type = "button";
    const title = name === "resource" && pick(value)?.querySelector("title")?.textContent;
    node.textContent = `${title || value} ×`;
    node.setAttribute("aria-label", `Show all, not ${name} ${title || value} alone`);
    node.addEventListener("click", () => { delete extra[name]; changed(); });
    return node;
  };

  const changed = () => {
    const state = wanted();
    const hash = new URLSearchParams(state).toString();
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
    show(state);
  };

  const restore = (hash) => {
    const state = Object.fromEntries(new URLSearchParams(hash));
    extra = {};
    for (const field of fields) {
      const value = state[field.name] || "";
      if (field.options && ![...field.options].some((option) => option.value === value)) field.add(new Option(value));
      field.value = value;
    }
    for (const name of ["resource", "control"]) if (state[name]) extra[name] = state[name];
    show(wanted());
  };

  // A hash is either the state of the filters or an anchor; whatever hides or folds an anchor gives way to it.
  const follow = () => {
    const hash = location.hash.slice(1);
    if (hash.includes("=")) {
      restore(hash);
      form.scrollIntoView();
      return;
    }
    const node = hash && document.getElementById(decodeURIComponent(hash));
    if (!node) return;
    if (node.closest("#findings [hidden]")) restore("");
    for (let part = node; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
    node.scrollIntoView();
  };

  const filter = (hash) => {
    history.pushState(null, "", `#${hash}`);
    restore(hash);
    form.scrollIntoView();
    form.querySelector("select").focus({ preventScroll: true });
  };

  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", changed);
  form.addEventListener("reset", () => { extra = {}; setTimeout(changed); });
  for (const [id, open] of [["unfold", true], ["fold", false]]) {
    document.getElementById(id).addEventListener("click", () => {
      for (const card of cards) if (!card.node.hidden) card.node.open = open;
    });
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-filter], .picture a[data-r]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    filter(link.dataset.filter || `resource=${link.dataset.r}`);
  });
  const trace = (event) => {
    const picture = event.target.closest?.(".picture");
    if (!picture) return;
    const box = event.target.closest(".box");
    picture.classList.toggle("tracing", Boolean(box));
    for (const line of picture.querySelectorAll(".lines path")) {
      line.classList.toggle("on", Boolean(box) && line.dataset.ends.split(" ").includes(box.dataset.box));
    }
  };
  for (const kind of ["pointerover", "focusin"]) document.addEventListener(kind, trace);
  window.addEventListener("hashchange", follow);
  window.addEventListener("popstate", follow);
  show(wanted());
  follow();
})();
