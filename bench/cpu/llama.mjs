// llama.cpp by node-llama-cpp, for workers: node WORKER GGUF THREADS. What they are asked, and answer: worker.py.
// Run with NODE_PATH naming the folder node_modules that has the package.
import { createRequire } from "node:module";
import fs from "node:fs";
import readline from "node:readline";
import { pathToFileURL } from "node:url";

const require = createRequire(process.env.NODE_PATH + "/");
const entry = require.resolve("node-llama-cpp");
const { getLlama } = await import(pathToFileURL(entry));
const packageVersion = JSON.parse(fs.readFileSync(`${process.env.NODE_PATH}/node-llama-cpp/package.json`)).version;
const { release } = JSON.parse(
  fs.readFileSync(`${process.env.NODE_PATH}/node-llama-cpp/llama/binariesGithubRelease.json`),
);
const [file, threadsText] = process.argv.slice(2);
const threads = Number(threadsText);

const llama = await getLlama({
  gpu: false,
  build: "never",
  maxThreads: threads,
  logger: (level, message) => console.error(`${level} ${message}`),
});
const model = await llama.loadModel({ modelPath: file });
let context; // of the row that is measured
let contextKey;

// Sequences of a context; the same ones as before if it is to be the same.
export async function contextFor(sequences, contextSize) {
  const key = `${sequences} ${contextSize}`;
  if (key !== contextKey) {
    await context?.dispose();
    context = await model.createContext({ sequences, contextSize, threads: { ideal: threads, min: threads } });
    context.slots = Array.from({ length: sequences }, () => context.getSequence());
    contextKey = key;
  }
  return context.slots;
}

export async function evaluate(sequence, tokens, last) {
  const input = [...tokens.slice(0, -1), [tokens[tokens.length - 1], last]];
  const output = await sequence.controlledEvaluate(input);
  return output[output.length - 1].next;
}

export async function logits({ prompt, next, path }) {
  const [sequence] = await contextFor(1, 512);
  await sequence.clearHistory();
  const rows = [];
  for (const tokens of [prompt, ...next.map((token) => [token])]) {
    const { logits } = await evaluate(sequence, tokens, { generateNext: { logits: true } });
    const row = new Float32Array(logits.size);
    logits.forEach((logit, token) => (row[token] = logit));
    rows.push(Buffer.from(row.buffer));
  }
  fs.writeFileSync(path, Buffer.concat(rows));
  return {};
}

export const secondsSince = (start) => (performance.now() - start) / 1000;

const say = (value) => fs.writeFileSync(1, JSON.stringify(value) + "\n");

// Says what the side is, and answers requests until stdin ends.
export async function serve(operations) {
  say({
    version: `node-llama-cpp ${packageVersion} (llama.cpp ${release})`,
    features: llama.systemInfo.replace(/\s+/g, " ").trim(),
  });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    try {
      say(await operations[request.op](request));
    } catch (failure) {
      say({ error: `${failure}` });
    }
  }
  process.exit(0); // threads of the library would keep the process
}
