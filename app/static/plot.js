// The plot: people of the training data as cells, the model's line with its interval, and the point just asked about.
// Everything comes in inches and pounds; `unit` says in what it is shown.

export const UNITS = {
  in: { height: "in", weight: "lb", heightOf: (inches) => inches, weightOf: (pounds) => pounds },
  cm: { height: "cm", weight: "kg", heightOf: (inches) => inches * 2.54, weightOf: (pounds) => pounds * 0.45359237 },
};

/** A number as people read it. Answers have two decimals: first to these, so that a conversion there and back shows the same. */
export function number(value, digits = 1, least = digits) {
  const exact = Math.round(value * 100) / 100;
  return exact.toLocaleString("en", { minimumFractionDigits: least, maximumFractionDigits: digits });
}

const MARGIN = { left: 46, right: 16, top: 14, bottom: 42 };

/** Draws into `box`, over what was there. `data`: {line, cells}; `asked`: {height, weight, margin, told} or null. */
export function draw(box, data, unit, asked) {
  const { width, height } = box.getBoundingClientRect();
  if (!data || width < 80 || height < 80) return box.replaceChildren();
  const domain = domainOf(data, asked);
  const x = scale(domain.heights, MARGIN.left, width - MARGIN.right);
  const y = scale(domain.weights, height - MARGIN.bottom, MARGIN.top);
  const svg = element("svg", { width, height, role: "img", "aria-labelledby": "plot-title plot-says" });
  axes(svg, domain, unit, x, y, width, height);
  const inside = element("g", { "clip-path": "url(#inside)" });
  const clip = element("clipPath", { id: "inside" });
  clip.append(rectangle(MARGIN.left, MARGIN.top, width - MARGIN.right, height - MARGIN.bottom));
  svg.append(clip, inside);
  people(inside, data.cells, x, y);
  fit(inside, data.line, domain.heights, x, y);
  if (asked) point(svg, asked, unit, x, y, width, height);
  box.replaceChildren(svg);
}

/** What is shown of both measures: all cells, and the point with its interval. */
function domainOf({ line, cells }, asked) {
  const heights = cells.length ? cells.flatMap((cell) => [cell.low, cell.high]) : [line.low, line.high];
  const weights = cells.length ? cells.flatMap((cell) => [cell.light, cell.heavy]) : heights.flatMap((each) => around(line, each));
  if (asked) {
    heights.push(asked.height);
    weights.push(asked.weight - asked.margin, asked.weight + asked.margin);
    if (asked.told) weights.push(asked.told);
  }
  return { heights: padded(heights), weights: padded(weights) };
}

function around(line, height) {
  const weight = line.intercept + line.slope * height;
  return [weight - line.margin, weight + line.margin];
}

function padded(values) {
  const low = values.reduce((a, b) => Math.min(a, b)), high = values.reduce((a, b) => Math.max(a, b));
  return [low - (high - low) * 0.03, high + (high - low) * 0.03];
}

function scale([low, high], from, to) {
  return (value) => from + ((value - low) / (high - low)) * (to - from);
}

function axes(svg, domain, unit, x, y, width, height) {
  const { heightOf, weightOf } = UNITS[unit];
  const bottom = height - MARGIN.bottom, right = width - MARGIN.right;
  for (const [value, shown] of ticks(domain.heights, heightOf, width < 500 ? 5 : 8)) {
    svg.append(element("path", { class: "grid", d: `M${x(value)} ${MARGIN.top}V${bottom}` }));
    svg.append(text(x(value), bottom + 18, shown, "middle"));
  }
  for (const [value, shown] of ticks(domain.weights, weightOf, 6)) {
    svg.append(element("path", { class: "grid", d: `M${MARGIN.left} ${y(value)}H${right}` }));
    svg.append(text(MARGIN.left - 8, y(value) + 4, shown, "end"));
  }
  svg.append(text(right, height - 6, `height, ${UNITS[unit].height}`, "end"));
  svg.append(text(2, height - 6, `weight, ${UNITS[unit].weight}`, "start"));
}

/** Round numbers in the unit shown: [value, label]. */
function ticks([low, high], shownOf, most) {
  const factor = shownOf(1), rough = ((high - low) * factor) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((each) => each * power >= rough);
  const found = [];
  for (let shown = Math.ceil((low * factor) / step) * step; shown <= high * factor; shown += step) {
    found.push([shown / factor, String(Number(shown.toFixed(6)))]);
  }
  return found;
}

function people(group, cells, x, y) {
  const most = cells.reduce((found, cell) => Math.max(found, cell.people), 1);
  for (const { low, high, light, heavy, people: number } of cells) {
    const cell = rectangle(x(low) + 0.5, y(heavy) + 0.5, x(high) - 0.5, y(light) - 0.5);
    cell.setAttribute("class", "cell");
    cell.setAttribute("fill-opacity", (0.1 + 0.85 * Math.sqrt(number / most)).toFixed(3));
    group.append(cell);
  }
}

function fit(group, line, [left, right], x, y) {
  const [[lowLeft, highLeft], [lowRight, highRight]] = [around(line, left), around(line, right)];
  const edge = (a, b) => `M${x(left)} ${y(a)}L${x(right)} ${y(b)}`;
  const corners = `M${x(left)} ${y(highLeft)}L${x(right)} ${y(highRight)}L${x(right)} ${y(lowRight)}L${x(left)} ${y(lowLeft)}Z`;
  group.append(
    element("path", { class: "band", d: corners }),
    element("path", { class: "bound", d: edge(highLeft, highRight) + edge(lowLeft, lowRight) }),
    element("path", { class: "fit", d: edge((lowLeft + highLeft) / 2, (lowRight + highRight) / 2) }),
  );
}

function point(svg, asked, unit, x, y, width, height) {
  const { weightOf } = UNITS[unit];
  const [cx, cy] = [x(asked.height), y(asked.weight)];
  const [top, bottom] = [y(asked.weight + asked.margin), y(asked.weight - asked.margin)];
  svg.append(
    element("path", { class: "guide", d: `M${MARGIN.left} ${cy}H${cx}M${cx} ${bottom}V${height - MARGIN.bottom}` }),
    element("path", { class: "whisker", d: `M${cx} ${top}V${bottom}M${cx - 6} ${top}h12M${cx - 6} ${bottom}h12` }),
    element("circle", { class: "point", cx, cy, r: 7 }),
  );
  if (asked.told) svg.append(element("circle", { class: "told", cx, cy: y(asked.told), r: 5.5 }));
  const left = cx > width - 110; // the words stand where there is room
  const tag = (at, pounds) => {
    const words = text(cx + (left ? -13 : 13), at + 5, `${number(weightOf(pounds))} ${UNITS[unit].weight}`, left ? "end" : "start");
    words.setAttribute("class", "tag");
    svg.append(words);
  };
  tag(cy, asked.weight);
  tag(top, asked.weight + asked.margin);
  tag(bottom, asked.weight - asked.margin);
}

function rectangle(left, top, right, bottom) {
  return element("rect", { x: left, y: top, width: Math.max(right - left, 0), height: Math.max(bottom - top, 0) });
}

function text(x, y, words, anchor) {
  const found = element("text", { class: "axis", x, y, "text-anchor": anchor });
  found.textContent = words;
  return found;
}

function element(name, attributes) {
  const found = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) found.setAttribute(key, value);
  return found;
}
