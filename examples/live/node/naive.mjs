// A checkout as many write it first: in memory, without keys, and a timeout counts as a failure.

import { call, serve } from "../../../adapters/node/index.js";

async function checkout(saga) {
  const done = [];
  for (const step of saga.steps) {
    try {
      await call(saga, step, "do");
      done.push(step);
    } catch {
      for (const earlier of done.reverse()) await call(saga, earlier, "undo");
      return "compensated";
    }
  }
  return "completed";
}

serve(checkout, { engine: `naive on node ${process.version}`, control: "http" });
