// llama.cpp by node-llama-cpp: node llama_worker.mjs GGUF THREADS. What it is asked, and answers: worker.py.
// Run with NODE_PATH naming the folder node_modules that has the package.
import { createRequire } from "node:module";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
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
const greedy = { generateNext: { token: true, options: { temperature: 0 } } };

const llama = await getLlama({
  gpu: false,
  build: "never",
  maxThreads: threads,
  logger: (level, message) => console.error(`${level} ${message}`),
});
const model = await llama.loadModel({ modelPath: file });
let context; // of the row that is measured
let contextKey;

async function contextFor(sequences, contextSize) {
  const key = `${sequences} ${contextSize}`;
  if (key !== contextKey) {
    await context?.dispose();
    context = await model.createContext({ sequences, contextSize, threads: { ideal: threads, min: threads } });
    context.slots = Array.from({ length: sequences }, () => context.getSequence());
    contextKey = key;
  }
  return context.slots;
}

const prompt = (sequence, tokens) =>
  Array.from({ length: tokens }, (_, position) => 100 + ((sequence * 7919 + position * 104729) % 50000));

async function evaluate(sequence, tokens, last) {
  const input = [...tokens.slice(0, -1), [tokens[tokens.length - 1], last]];
  const output = await sequence.controlledEvaluate(input);
  return output[output.length - 1].next;
}

async function logits({ prompt, next, path }) {
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

// run(seconds left) returns the tokens it did and the seconds these took.
async function repeat(seconds, run) {
  let tokens = 0;
  let measured = 0;
  while (measured < seconds || tokens === 0) {
    const [moreTokens, moreSeconds] = await run(seconds - measured);
    tokens += moreTokens;
    measured += moreSeconds;
  }
  return { tokens, seconds: measured };
}

const secondsSince = (start) => (performance.now() - start) / 1000;

async function prefill({ tokens, seconds }) {
  const [sequence] = await contextFor(1, tokens + 16);
  const ids = prompt(0, tokens);
  return repeat(seconds, async () => {
    await sequence.clearHistory();
    const start = performance.now();
    await evaluate(sequence, ids, greedy);
    return [tokens, secondsSince(start)];
  });
}

// Computes the first sequence, and copies its keys and values to the others.
async function fill([first, ...others], tokens) {
  await first.evaluateWithoutGeneratingNewTokens(prompt(0, tokens));
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "llama-state-"));
  const file = path.join(folder, "state");
  await first.saveStateToFile(file);
  for (const sequence of others) {
    await sequence.loadStateFromFile(file, { acceptRisk: true });
  }
  fs.rmSync(folder, { recursive: true });
}

async function decode({ batch, context, steps, seconds }) {
  const sequences = await contextFor(batch, context + steps + 16);
  if (sequences[0].nextTokenIndex === 0) {
    await fill(sequences, context);
  }
  return repeat(seconds, async (left) => {
    let tokens = sequences.map((_, s) => 100 + s);
    let done = 0;
    let measured = 0;
    const start = performance.now();
    while (done < steps && (done === 0 || measured < left)) {
      const next = sequences.map((sequence, s) => evaluate(sequence, [tokens[s]], greedy));
      tokens = (await Promise.all(next)).map(({ token }) => token);
      measured = secondsSince(start);
      done++;
    }
    for (const sequence of sequences) {
      await sequence.eraseContextTokenRanges([{ start: context, end: context + done }]);
    }
    return [batch * done, measured];
  });
}

const say = (value) => fs.writeSync(1, JSON.stringify(value) + "\n");
say({
  version: `node-llama-cpp ${packageVersion} (llama.cpp ${release})`,
  features: llama.systemInfo.replace(/\s+/g, " ").trim(),
});
const operations = { logits, prefill, decode };
for await (const line of readline.createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  try {
    say(await operations[request.op](request));
  } catch (failure) {
    say({ error: `${failure}` });
  }
}
process.exit(0); // threads of the library would keep the process
