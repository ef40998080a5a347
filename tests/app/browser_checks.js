// What a browser can be asked about a page: each function returns what is wrong, in words. One expression, read by test_browser.py.
({
  /** Text whose contrast with its ground is under WCAG 2.2 AA: 4.5, large text 3. Disabled controls are exempt. */
  contrast() {
    const parse = (text) => {
      const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
      return [r, g, b, a];
    };
    const over = (top, below) => top.slice(0, 3).map((part, i) => part * top[3] + below[i] * (1 - top[3]));
    const linear = (part) => (part / 255 <= 0.03928 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
    const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const ground = (element) => {
      const layers = [];
      for (let each = element; each; each = each.parentElement) layers.push(parse(getComputedStyle(each).backgroundColor));
      return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
    };
    return [...document.querySelectorAll("body *")].flatMap((element) => {
      const words = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
      const style = getComputedStyle(element);
      if (!words || !element.getBoundingClientRect().width || element.closest("fieldset:disabled, noscript")) return [];
      const below = ground(element), drawn = element.namespaceURI.endsWith("svg");
      const ink = over(parse(drawn ? style.fill : style.color), below);
      const [low, high] = [light(ink), light(below)].sort((a, b) => a - b);
      const ratio = (high + 0.05) / (low + 0.05), size = parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      return ratio >= (large ? 3 : 4.5) ? [] : [`${ratio.toFixed(2)}: ${element.outerHTML.slice(0, 100)}`];
    });
  },

  /** Controls, pictures and regions that have no name to be read out. */
  nameless() {
    const all = [...document.querySelectorAll("input, button, a, [role=meter], [role=img], [tabindex]")];
    const named = (element) => {
      const ids = (element.getAttribute("aria-labelledby") || "").split(" ");
      const by = ids.map((id) => document.getElementById(id)?.textContent ?? "").join("");
      const labels = [...(element.labels ?? [])].map((each) => each.textContent).join("");
      return (by + labels + (element.getAttribute("aria-label") ?? "") + element.textContent).trim();
    };
    return all.filter((element) => !named(element)).map((element) => element.outerHTML.slice(0, 100));
  },

  /** What is to be clicked and is less than 24 by 24 pixels (WCAG 2.2, 2.5.8). */
  small() {
    const all = [...document.querySelectorAll('input[type="text"], button, .choice label, .top a')];
    return all.filter((element) => {
      const box = element.getBoundingClientRect();
      return Math.min(box.width, box.height) < 24;
    }).map((element) => element.outerHTML.slice(0, 100));
  },

  /** Elements that reach out of the page's width, unless something scrolls them. */
  wide() {
    const most = document.documentElement.clientWidth + 1;
    return [...document.querySelectorAll("body *")].filter((element) => {
      return element.getBoundingClientRect().right > most && !element.closest("pre, .scroll, .unseen, .skip, svg");
    }).map((element) => element.outerHTML.slice(0, 100));
  },

  /** What has moved by itself since the page was opened, typing included: layout shifts that come to 0.01 or more. */
  jumps() {
    return new Promise((done) => {
      const seen = [];
      new PerformanceObserver((list) => seen.push(...list.getEntries())).observe({ type: "layout-shift", buffered: true });
      setTimeout(() => {
        const sum = seen.reduce((total, entry) => total + entry.value, 0);
        const named = (entry) => entry.sources.map(({ node }) => (node?.outerHTML ?? node?.textContent ?? "").slice(0, 80));
        done(sum < 0.01 ? [] : seen.map((entry) => `${entry.value.toFixed(4)}: ${named(entry).join(" | ")}`));
      }, 200);
    });
  },
})
