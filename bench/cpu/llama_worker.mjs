// llama.cpp by node-llama-cpp: node llama_worker.mjs GGUF THREADS. What it is asked, and answers: worker.py.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { contextFor, evaluate, logits, secondsSince, serve } from "./llama.mjs";

const greedy = { generateNext: { token: true, options: { temperature: 0 } } };

const prompt = (sequence, tokens) =>
  Array.from({ length: tokens }, (_, position) => 100 + ((sequence * 7919 + position * 104729) % 50000));

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

await serve({ logits, prefill, decode });
