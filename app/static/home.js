// The home page: asks the service, shows what it says, draws the plot. All state is in `page`.

import { draw, number, UNITS } from "./plot.js";

const EVERY = 5000; // milliseconds between two looks at /status, while somebody looks at the page
const page = { status: null, data: null, asked: null, answer: null, turn: 0 };
const at = (id) => document.getElementById(id);
const unit = () => document.querySelector('input[name="unit"]:checked').value;
const short = (value) => number(value, 1, 0);
const count = (value) => value.toLocaleString("en");

class Problem extends Error {
  constructor(detail, field) {
    super(detail);
    this.field = field;
  }
}

/** Asks the service; what it refuses, and what never reached it, is a Problem whose message is a sentence. */
async function ask(path, body) {
  const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let response, found;
  try {
    response = await fetch(path, { ...options, signal: AbortSignal.timeout(10000) });
    found = await response.json();
  } catch {
    throw new Problem(response ? `The service gave an answer that cannot be read (status ${response.status}).`
      : "The service cannot be reached. See whether it runs, then try again.");
  }
  if (!response.ok) throw new Problem(found.detail || `The service answered ${response.status}.`, found.field);
  return found;
}

/** The number that somebody typed, with a point or a comma; feet and inches where those are asked for. Or a Problem. */
function typed(input, what, example, feet = false) {
  const words = input.value.trim();
  const both = feet && words.match(/^(\d)\s*(?:'|′|’|ft|feet)\s*(?:(\d{1,2}(?:[.,]\d+)?)\s*(?:"|″|”|''|in|inches)?)?$/i);
  if (both) return Number(both[1]) * 12 + Number((both[2] || "0").replace(",", "."));
  if (!words) throw new Problem(`Type a ${what}, such as ${example}.`, what);
  if (!/^[+-]?\d+([.,]\d+)?$|^[+-]?[.,]\d+$/.test(words)) throw new Problem(`“${words}” is no number. Type a ${what} such as ${example}.`, what);
  return Number(words.replace(",", "."));
}

function say(id, words, kind = "") {
  const line = at(id);
  line.textContent = words;
  line.dataset.kind = kind;
}

function wrong(input, line, problem) {
  input.setAttribute("aria-invalid", "true");
  say(line, problem.message[0].toUpperCase() + problem.message.slice(1), "wrong");
  input.focus();
}

const hint = () => (unit() === "in" ? "In inches such as 68, or as 5'8\"." : "In centimetres, such as 173.");

async function predict(event) {
  event?.preventDefault();
  const input = at("height"), chosen = unit(), turn = ++page.turn;
  try {
    const height = typed(input, "height", chosen === "in" ? "68" : "173", chosen === "in");
    const answer = await ask("/predict", { height, unit: chosen });
    if (turn !== page.turn) return; // asked again meanwhile
    input.removeAttribute("aria-invalid");
    say("height-says", hint());
    page.answer = { ...answer, height, typed: input.value, heightUnit: chosen };
    page.asked = { height: height / UNITS[chosen].heightOf(1), weight: answer.weight / UNITS[chosen].weightOf(1),
      margin: answer.margin / UNITS[chosen].weightOf(1), told: null };
    showAnswer();
    openFeedback();
  } catch (problem) {
    wrong(input, "height-says", problem);
  }
  look();
}

function showAnswer() {
  const { weight, margin, unit: weightUnit, extrapolated, height, heightUnit, id } = page.answer;
  at("weight").textContent = number(weight);
  at("weight-unit").textContent = weightUnit;
  const sure = [`Of 100 people who are ${short(height)} ${heightUnit} tall, 95 weigh `,
    strong(`${number(Math.max(weight - margin, 0))} to ${number(weight + margin)} ${weightUnit}`), "."];
  const line = page.data?.line;
  if (extrapolated && line) {
    const [low, high] = [line.low, line.high].map((each) => short(UNITS[heightUnit].heightOf(each)));
    sure.push(` That is a guess: the model knows heights from ${low} to ${high} ${heightUnit} alone.`);
  }
  at("sure").replaceChildren(...sure);
  at("last-id").replaceChildren("Your last one is ", code(id), ".");
  redraw();
}

function openFeedback() {
  at("feedback-fields").disabled = false;
  at("true-weight").value = "";
  at("true-weight").removeAttribute("aria-invalid");
  at("true-unit").textContent = ` (${page.answer.unit})`;
  say("feedback-says", "What you tell is measured against the answer.");
}

async function tell(event) {
  event.preventDefault();
  const input = at("true-weight"), { id, unit: weightUnit, weight: guess, margin, heightUnit } = page.answer;
  try {
    const weight = typed(input, "weight", weightUnit === "lb" ? "130" : "59");
    await ask("/feedback", { id, weight, unit: weightUnit });
    input.removeAttribute("aria-invalid");
    page.asked.told = weight / UNITS[heightUnit].weightOf(1);
    const off = number(Math.abs(weight - guess));
    const where = Math.abs(weight - guess) <= margin ? "within its interval" : "outside its interval";
    say("feedback-says", `Thank you. The model was off by ${off} ${weightUnit}, ${where}.`, "good");
    at("feedback-fields").disabled = true;
    at("height").focus({ preventScroll: true });
    redraw();
  } catch (problem) {
    wrong(input, "feedback-says", problem);
  }
  look();
}

/** A height that was answered is shown in the other unit too; one that was not is taken as it was meant. */
function changeUnit() {
  const input = at("height"), { answer } = page;
  input.removeAttribute("aria-invalid");
  say("height-says", hint());
  if (answer && answer.typed === input.value && answer.heightUnit !== unit()) {
    input.value = String(Number((UNITS[unit()].heightOf(page.asked.height)).toFixed(1)));
    predict();
  } else redraw();
}

/** Looks at /status, and shows it. A look that fails says so, and leaves the rest as it was. */
async function look() {
  try {
    page.status = await ask("/status");
  } catch (problem) {
    state("trouble", problem.message);
    return;
  }
  const { ready, trouble, model, created, line, card, drift, traffic } = page.status;
  if (ready) state(trouble ? "trouble" : "ready", trouble ? `Model ${model} stays: ${trouble}` : `Ready, model ${model}`);
  else state("trouble", trouble || "No model was loaded yet.");
  const key = JSON.stringify([model, card !== null]);
  if (page.key !== key) {
    page.key = key;
    page.data = line && { line, cells: card ? cellsOf(card) : [] };
    showCard(card, model, created);
    redraw();
  }
  showDrift(drift, model);
  showLatency(traffic);
}

function state(kind, words) {
  at("state").dataset.state = kind;
  if (at("state-text").textContent !== words) at("state-text").textContent = words;
}

/** The card's counts of people as cells, in inches and pounds. */
function cellsOf({ cells: { height, weight, counts } }) {
  return counts.map(([low, light, people]) => ({ low, high: low + height, light, heavy: light + weight, people }));
}

function showCard(card, model, created) {
  const facts = at("card"), words = at("card-text");
  if (!card) {
    facts.replaceChildren();
    words.replaceChildren(paragraph(model ? `Model ${model} has no card that can be read.` : "No model is served yet."));
    return;
  }
  const { data, formula, metrics: { held_out: found, baseline } } = card;
  const learned = data.labelled ? `${count(data.rows)} people, ${count(data.labelled)} told here` : `${count(data.rows)} people`;
  const rows = [
    ["Version", model, "id"],
    ["Built", created.slice(0, 10)],
    ["Learned from", learned],
    ["Knows heights", `${short(formula.minimum)} to ${short(formula.maximum)} in`],
    ["Error (rmse)", `${number(found.rmse)} lb`],
    ["Guessing the mean", `${number(baseline.rmse)} lb`],
  ];
  facts.replaceChildren(...rows.map(([name, value, kind = ""]) => {
    const [row, term, detail] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
    term.textContent = name;
    detail.textContent = value;
    detail.className = kind;
    row.append(term, detail);
    return row;
  }));
  const limits = document.createElement("ul");
  limits.append(...card.limits.map((words) => {
    const item = document.createElement("li");
    item.textContent = words;
    return item;
  }));
  words.replaceChildren(paragraph(card.purpose), limits);
}

function showDrift({ share, limit, verdict: last }, model) {
  const meter = at("drift-meter"), verdict = last?.model === model ? last : null; // not one on the model before
  const known = share ?? verdict?.share ?? null;
  at("drift-share").textContent = known === null ? "–" : number(known, 2);
  at("drift-limit").textContent = limit;
  at("drift-fill").style.width = `${Math.min((known ?? 0) / (2 * limit), 1) * 100}%`;
  meter.dataset.state = known !== null && known >= limit ? "over" : "under";
  meter.setAttribute("aria-valuemax", 2 * limit);
  meter.setAttribute("aria-valuenow", Math.min(known ?? 0, 2 * limit));
  meter.setAttribute("aria-valuetext", known === null ? "not known yet" : `${number(known, 2)} of ${limit}`);
  const live = share === null ? (verdict ? "" : "Too few heights were asked about yet to say how they compare with the training data.")
    : share >= limit ? "The heights asked about are no longer those that the model learned from: it is to be rebuilt."
      : "The heights asked about are like those that the model learned from.";
  at("drift-says").textContent = [live, verdict ? judged(verdict) : ""].join(" ").trim();
}

/** What the drift job found, in words. */
function judged({ checked, rebuild, reasons, accuracy }) {
  const when = `Judged ${checked.slice(0, 16).replace("T", " ")} UTC: ${rebuild ? "rebuild." : "no rebuild."}`;
  const told = accuracy ? ` On ${count(accuracy.labels)} true weights the error is ${number(accuracy.rmse)} lb, ${number(accuracy.expected)} lb at the build.` : "";
  return rebuild ? `${when} ${reasons.join(" ")}` : when + told;
}

function showLatency({ requests, p50, p99 }) {
  const shown = (seconds) => number(seconds * 1000, seconds < 0.01 ? 2 : 0);
  at("p50").textContent = p50 === null ? "–" : shown(p50);
  const along = (seconds) => Math.min(Math.max((Math.log10(seconds * 1000) + 1) / 3, 0), 1) * 100;
  const fill = at("latency-fill");
  fill.style.left = p50 === null ? "0" : `${along(p50)}%`;
  fill.style.width = p50 === null ? "0" : `${Math.max(along(p99) - along(p50), 0)}%`;
  at("latency-says").textContent = p50 === null ? "No prediction was asked for lately."
    : `99 of 100 within ${shown(p99)} ms. The service has answered ${count(requests)} ${requests === 1 ? "prediction" : "predictions"}.`;
}

function redraw() {
  const { data, asked, answer } = page;
  const { height, heightOf, weight, weightOf } = UNITS[unit()];
  if (data) {
    const people = data.cells.reduce((sum, cell) => sum + cell.people, 0);
    const rise = number(weightOf(data.line.slope) / heightOf(1), 2);
    const here = asked && answer ? ` The dot: ${short(heightOf(asked.height))} ${height}, ${number(weightOf(asked.weight))} ${weight}.` : "";
    at("plot-says").textContent = `${people ? `${count(people)} people, none shown alone.` : "No counts of people are known."} ` +
      `Each ${height === "in" ? "inch" : height} more is ${rise} ${weight} more.${here}`;
  }
  draw(at("plot"), data, unit(), asked);
}

function paragraph(words) {
  const found = document.createElement("p");
  found.textContent = words;
  return found;
}

function strong(words) {
  const found = document.createElement("strong");
  found.textContent = words;
  return found;
}

function code(words) {
  const found = document.createElement("code");
  found.textContent = words;
  return found;
}

at("predict").addEventListener("submit", predict);
at("feedback").addEventListener("submit", tell);
for (const each of document.querySelectorAll('input[name="unit"]')) each.addEventListener("change", changeUnit);
new ResizeObserver(redraw).observe(at("plot"));
document.addEventListener("visibilitychange", () => document.hidden || look());
setInterval(() => document.hidden || look(), EVERY);
at("height-says").textContent = hint();
look();
