// A live worker in a few lines: the protocol of docs/live.md, for sagas on Node, with nothing but its own modules.
//
//     import { attempt, serve } from "sagafuzz-worker";
//
//     serve(async (saga) => {
//       for (const step of saga.steps) await attempt(saga, step, "do", { key: `${saga.id}/${step}` });
//       return "completed";
//     });

"use strict";

const fs = require("node:fs");
const http = require("node:http");
const net = require("node:net");
const readline = require("node:readline");

class Rejected extends Error {} // definite: nothing was applied
class Unknown extends Error {} // an error or no answer: it may have been applied, or may yet be
const REFUSED = Object.freeze({ refused: true });

const STATUSES = { true: "completed", false: "compensated", stuck: "failed_stuck" }; // and the protocol's own words

// Wait for a case, where the manifest says `ahead = true`: what stands before it is done in advance. `serve` does it too.
function waitForCase() {
  if (!process.env.SAGAFUZZ_WAITS) return;
  const [bytes, one] = [[], Buffer.alloc(1)];
  while (readNow(one) && one[0] !== 10) bytes.push(one[0]); // and nothing of what follows
  if (!bytes.length) process.exit(0);
  delete process.env.SAGAFUZZ_WAITS;
  Object.assign(process.env, JSON.parse(Buffer.from(bytes).toString()).env);
}

// One read of standard input, which waits also where a library made it non-blocking.
function readNow(buffer) {
  for (;;) {
    try {
      return fs.readSync(0, buffer);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

// Send JSON to the harness: the HTTP status, and the object that was answered. Rejects with Unknown where none came.
function post(path, content, headers = {}, timeoutMs = 10_000) {
  return new Promise((resolve, reject) => {
    const own = { "content-type": "application/json", authorization: `Bearer ${process.env.SAGAFUZZ_TOKEN}` };
    const options = { method: "POST", agent: false, headers: { ...own, ...headers } };
    const failed = (why) => (clearTimeout(timer), reject(new Unknown(`${path}: ${why}`)));
    const request = http.request(`${process.env.SAGAFUZZ_URL}/${path}`, options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk) => (text += chunk));
      response.on("error", () => failed("the answer broke off"));
      response.on("end", () => {
        try {
          const answer = JSON.parse(text);
          clearTimeout(timer);
          resolve([response.statusCode, answer]);
        } catch (error) {
          failed(error.message);
        }
      });
    });
    const timer = setTimeout(() => request.destroy(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
    request.on("error", (error) => failed(error.message));
    request.end(JSON.stringify(content));
  });
}

// Ask the participant of a step to "do" or "undo" it: its receipt. Rejects with Rejected or Unknown.
async function call(saga, step, verb, { key, receipt, timeoutMs } = {}) {
  const { item, quantity, amount, account } = saga.order;
  const headers = { "Saga-Id": saga.id, "Saga-Step": step, ...(key ? { "Idempotency-Key": key } : {}) };
  const content = { item, quantity, amount, account, ...(receipt ? { receipt } : {}) };
  const waits = timeoutMs ?? Number(process.env.SAGAFUZZ_CALL_TIMEOUT_MS);
  const [status, answer] = await post(`${step}/${verb}`, content, headers, waits);
  if (status === 200) return answer.receipt;
  const kind = status === 409 || status === 422 ? Rejected : Unknown;
  throw new kind(`${step}/${verb}: ${answer.error}`);
}

// `call`, as the step of an engine may return it: the receipt, or REFUSED. Rejects with Unknown.
async function attempt(saga, step, verb, options) {
  try {
    return await call(saga, step, verb, options);
  } catch (error) {
    if (error instanceof Rejected) return REFUSED;
    throw error;
  }
}

// The steps of a saga in lists, those of one list at once.
function layers(saga) {
  const depth = {};
  const found = [];
  for (const step of saga.steps) {
    depth[step] = 1 + Math.max(-1, ...(saga.after[step] ?? []).map((earlier) => depth[earlier]));
    (found[depth[step]] ??= []).push(step);
  }
  return found;
}

// The saga of a command to start it, as JSON can hold it: the input of a workflow.
function requested({ saga_id, order, steps }, again = false) {
  const by = (name) => Object.fromEntries(steps.filter((step) => step[name]).map((step) => [step.id, step[name]]));
  const attempts = Math.max(0, ...steps.map((step) => step.max_attempts ?? 0));
  const names = steps.map((step) => step.id);
  return { id: saga_id, order, steps: names, after: by("after"), waits: by("wait_ms"), attempts, again };
}

// Take commands until standard input ends. `drive` runs a saga; it gives a status, true, false, "stuck", a word that
// `statuses` maps to one of these, or {status, step, reason}. An engine that goes on by itself `takesUp`: what an
// earlier process had taken is driven here with `again`. Else `pending` are the sagas that it left open. What anybody
// writes to standard output goes to standard error. With control: "http" commands come over HTTP.
function serve(drive, { engine = "", takesUp = false, pending = [], statuses = {}, control = "stdio" } = {}) {
  waitForCase();
  const known = new Map();
  let tell = () => {};
  const ended = (saga, told) => {
    known.set(saga.id, told);
    tell({ event: "status", saga_id: saga.id, ...told });
  };
  const begin = (saga) => {
    if (known.has(saga.id)) return;
    known.set(saga.id, { status: "running" });
    Promise.resolve(saga)
      .then(drive)
      .then((outcome) => ended(saga, told(outcome, statuses)))
      .catch((error) => ended(saga, failed(error)));
  };
  const commands = {
    hello: ({ open = [] }) => {
      if (takesUp) open.forEach((order) => begin(requested(order, true)));
      return { protocol: 1, engine };
    },
    start: (command) => (begin(requested(command)), {}),
    status: ({ saga_id }) => known.get(saga_id) ?? { status: "unknown" },
    recover: () => ({}),
  };
  const answered = (name, command) =>
    Object.hasOwn(commands, name) ? commands[name](command) : { error: `no such command: ${name}`, definite: true };
  pending.forEach(begin);
  tell = (control === "http" ? overHttp : overStdio)(answered);
}

function told(outcome, statuses) {
  if (outcome !== null && typeof outcome === "object") return outcome;
  const word = statuses[outcome] ?? outcome;
  const status = STATUSES[word] ?? word;
  if (["completed", "compensated", "failed_stuck", "unknown"].includes(status)) return { status };
  throw new Error(`drive gave ${outcome}; give completed, compensated, failed_stuck or unknown`);
}

function failed(error) {
  const stray = !(error instanceof Rejected || error instanceof Unknown);
  if (stray) console.error(error);
  return { status: "unknown", reason: String(error), stray };
}

function overStdio(answered) {
  const [input, write] = keptApart();
  const say = (content) => write(`${JSON.stringify(content)}\n`);
  readline
    .createInterface({ input })
    .on("line", (line) => {
      const command = JSON.parse(line);
      say({ id: command.id, ...answered(command.op, command) });
    })
    .on("close", () => process.exit(0));
  return say;
}

// The protocol's own input and output. The harness gives one socket as both: then descriptor 1 becomes standard error.
function keptApart() {
  if (fs.fstatSync(0).isSocket()) {
    const socket = new net.Socket({ fd: 0, readable: true, writable: true });
    fs.closeSync(1);
    fs.openSync("/dev/stderr", "a"); // takes the lowest free number: 1
    return [socket, (text) => socket.write(text)];
  }
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = process.stderr.write.bind(process.stderr);
  return [process.stdin, write];
}

function overHttp(answered) {
  const server = http.createServer((request, response) => {
    let text = "";
    request.setEncoding("utf8").on("data", (chunk) => (text += chunk));
    request.on("end", () => {
      const allowed = request.headers.authorization === `Bearer ${process.env.SAGAFUZZ_TOKEN}`;
      const answer = allowed ? answered(request.url.slice(1), JSON.parse(text)) : { error: "not for you", definite: true };
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
    });
  });
  server.listen(0, "127.0.0.1", () => post("hello", { control: `http://127.0.0.1:${server.address().port}` }));
  return () => {};
}

module.exports = { REFUSED, Rejected, Unknown, attempt, call, layers, post, serve, waitForCase };
