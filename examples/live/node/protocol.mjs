// The worker's side of the protocol of docs/live.md, with nothing but Node's own modules: commands come over HTTP.

import http from "node:http";

const { SAGAFUZZ_URL: URL_, SAGAFUZZ_TOKEN: TOKEN, SAGAFUZZ_CALL_TIMEOUT_MS: TIMEOUT_MS } = process.env;

export class Rejected extends Error {} // definite: nothing was applied
export class Unknown extends Error {} // an error or no answer: it may have been applied, or may yet be

export function post(path, content, headers = {}, timeoutMs = 10_000) {
  return new Promise((resolve, reject) => {
    const body = JSON.stringify(content);
    const options = {
      method: "POST",
      agent: false,
      timeout: timeoutMs,
      headers: { "content-type": "application/json", authorization: `Bearer ${TOKEN}`, ...headers },
    };
    const request = http.request(`${URL_}/${path}`, options, (response) => {
      let text = "";
      response.on("data", (chunk) => (text += chunk));
      response.on("error", () => reject(new Unknown(`${path}: the answer broke off`)));
      response.on("end", () => resolve([response.statusCode, JSON.parse(text || "{}")]));
    });
    request.on("timeout", () => request.destroy(new Error("timeout")));
    request.on("error", (error) => reject(new Unknown(`${path}: ${error.message}`)));
    request.end(body);
  });
}

export async function call(saga, step, verb, { key, receipt } = {}) {
  const { item, quantity, amount, account } = saga.order;
  const headers = { "Saga-Id": saga.id, "Saga-Step": step, ...(key ? { "Idempotency-Key": key } : {}) };
  const content = { item, quantity, amount, account, ...(receipt ? { receipt } : {}) };
  const [status, answer] = await post(`${step}/${verb}`, content, headers, Number(TIMEOUT_MS));
  if (status === 200) return answer.receipt;
  if (status === 409 || status === 422) throw new Rejected(`${step}/${verb}: ${answer.error}`);
  throw new Unknown(`${step}/${verb}: ${answer.error}`);
}

// Take commands; `drive` runs a saga and gives its status, `pending` are those that an earlier process left open.
export function serve(drive, { engine, pending = [] }) {
  const known = new Map();
  const begin = (saga) => {
    if (known.has(saga.id)) return;
    known.set(saga.id, { status: "running" });
    drive(saga).then(
      (status) => known.set(saga.id, typeof status === "string" ? { status } : status),
      (error) => known.set(saga.id, { status: "unknown", reason: String(error), stray: !(error instanceof Unknown) }),
    );
  };
  const commands = {
    hello: () => ({ protocol: 1, engine }),
    start: ({ saga_id, order, steps }) => (begin({ id: saga_id, order, steps: steps.map(({ id }) => id) }), {}),
    status: ({ saga_id }) => known.get(saga_id) ?? { status: "unknown" },
    recover: () => ({}),
  };
  const server = http.createServer((request, response) => {
    let text = "";
    request.on("data", (chunk) => (text += chunk));
    request.on("end", () => {
      const command = commands[request.url.slice(1)];
      const allowed = request.headers.authorization === `Bearer ${TOKEN}`;
      const answer = command && allowed ? command(JSON.parse(text)) : { error: "not for you", definite: true };
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
    });
  });
  pending.forEach(begin);
  server.listen(0, "127.0.0.1", () => post("hello", { control: `http://127.0.0.1:${server.address().port}` }));
}
