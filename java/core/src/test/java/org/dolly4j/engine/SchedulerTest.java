package org.dolly4j.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.dolly4j.runtime.DecoderSession;
import org.dolly4j.sampling.BeamOptions;
import org.dolly4j.sampling.BeamSearch;
import org.junit.jupiter.api.Test;

/** Plans, carried out without a model: on a cache of numbers that tell which tokens they were made of. */
class SchedulerTest {
    private static final int SCRIPTS = 100_000;

    private static RequestSpec spec(int[] prompt, int sequences, int maxNewTokens) {
        return new TestSpec(prompt, maxNewTokens).sequences(sequences).build();
    }

    private static long mix(long z) {
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }

    /** What the cache holds for a token after others: that depends on all of them. */
    private static long state(long before, int token) {
        return mix(before * 31 + token + 1);
    }

    private static long stateOf(int[] tokens) {
        long state = 0;
        for (int token : tokens) {
            state = state(state, token);
        }
        return state;
    }

    /** Some parents and tokens for the next step of a search, by what its beams are. */
    private static List<BeamSearch.Successor> successors(List<Long> states, RequestSpec spec, int vocabSize) {
        List<BeamSearch.Successor> successors = new ArrayList<>();
        for (int i = 0; i < spec.beams().orElseThrow().beams(); i++) {
            int parent = draw(states.get(0), 1000 + i, states.size());
            successors.add(new BeamSearch.Successor(parent, draw(states.get(parent), i, vocabSize)));
        }
        return successors;
    }

    /** One of 256 tokens, or of a few, so that answers repeat themselves. */
    private static int draw(long state, int sequence, int vocabSize) {
        return (int) (((mix(state + sequence) >>> 32) * vocabSize) >>> 32);
    }

    /** A scheduler, the cache it plans for, and what has to hold of both at every moment. */
    private static final class Simulation {
        final BlockPool pool;
        final Scheduler scheduler;
        final int maxRows;
        final int maxSequences;
        final boolean keeps;
        final int vocabSize;
        final StepTimes times;
        final long[] cache;
        final Map<SequenceGroup, Map<Integer, List<Integer>>> drawn = new HashMap<>();
        final Map<SequenceGroup, List<Sequence>> beams = new HashMap<>();
        long arrivals;
        long acceptedDrafts;
        long rejectedDrafts;
        int searches;
        int steps;

        Simulation(int blocks, int maxRows, int maxSequences, boolean keeps) {
            this(blocks, maxRows, maxSequences, keeps, 256, false);
        }

        Simulation(int blocks, int maxRows, int maxSequences, boolean keeps, int vocabSize, boolean drafts) {
            this.maxRows = maxRows;
            this.maxSequences = maxSequences;
            this.keeps = keeps;
            this.vocabSize = vocabSize;
            times = new StepTimes(maxRows);
            pool = new BlockPool(blocks, keeps);
            scheduler = new Scheduler(
                    pool, maxRows, maxSequences, drafts ? Optional.of(new Speculation(times)) : Optional.empty());
            cache = new long[blocks * DecoderSession.BLOCK_SIZE];
        }

        SequenceGroup submit(RequestSpec spec) {
            long arrival = arrivals++;
            SequenceGroup group = new SequenceGroup(spec, arrival, keeps ? "" : Long.toString(arrival));
            scheduler.add(group);
            drawn.put(group, new HashMap<>());
            return group;
        }

        /** Plans a step, carries it out, and draws. */
        StepPlan step(int prefillRows) {
            return step(prefillRows, maxRows);
        }

        StepPlan step(int prefillRows, int mostRows) {
            steps++;
            int decoding = scheduler.decodingCount();
            StepPlan plan = scheduler.plan(prefillRows, mostRows);
            checkShare(plan, decoding, prefillRows);
            check(plan.rows() > 0, "a step without rows");
            check(plan.rows() <= maxRows, "too many rows");
            int guesses = drafts(plan, false);
            check(plan.rows() - guesses <= decoding + prefillRows, "more rows than the budget");
            check(guesses == 0 || plan.rows() - drafts(plan, true) <= mostRows, "more drafts than there is time for");
            check(plan.slices().size() <= maxSequences, "too many sequences");
            int logitsRows =
                    plan.slices().stream().mapToInt(StepPlan.Slice::logitsRows).sum();
            check(plan.logitsRows() == logitsRows && logitsRows <= maxSequences, "too many logits");
            checkBlocks();
            for (StepPlan.Copy copy : plan.copies()) {
                check(pool.holders(copy.target()) == 1, "a copy to a shared block");
                int from = copy.source() * DecoderSession.BLOCK_SIZE;
                System.arraycopy(
                        cache, from, cache, copy.target() * DecoderSession.BLOCK_SIZE, DecoderSession.BLOCK_SIZE);
            }
            plan.slices().forEach(this::write);
            plan.slices().forEach(this::checkContents);
            scheduler.markCached(plan);
            for (StepPlan.Slice slice : plan.slices()) {
                if (slice.isLast() && slice.sequence().group().spec().beams().isPresent()) {
                    goOn(slice.sequence());
                } else if (slice.isLast()) {
                    draw(slice);
                }
            }
            checkBlocks();
            return plan;
        }

        /** The oldest prompt gets half of the rows for prompts, unless it has fewer, or those before it all blocks. */
        private void checkShare(StepPlan plan, int decoding, int prefillRows) {
            Optional<Sequence> oldest = scheduler.running().stream()
                    .filter(sequence -> sequence.uncached() > 1)
                    .findFirst();
            int single = (int) plan.slices().stream()
                    .filter(slice -> slice.sequence().uncached() == 1)
                    .count();
            int budget = Math.min(prefillRows - Math.max(0, single - decoding), maxRows - single);
            int rows = plan.slices().stream()
                    .filter(slice -> oldest.filter(slice.sequence()::equals).isPresent())
                    .mapToInt(StepPlan.Slice::rows)
                    .sum();
            int share = Math.min(oldest.map(Sequence::uncached).orElse(0), budget - budget / 2);
            List<Sequence> running = scheduler.running();
            boolean isLast = !running.isEmpty() && running.get(running.size() - 1) == oldest.orElse(null);
            check(rows >= share || (isLast && pool.availableCount() == 0), "the oldest prompt has too small a share");
        }

        private static int drafts(StepPlan plan, boolean given) {
            return plan.slices().stream()
                    .filter(slice -> slice.sequence().group().spec().isScoring() == given)
                    .mapToInt(StepPlan.Slice::drafts)
                    .sum();
        }

        private int slot(Sequence sequence, int position) {
            return sequence.block(position / DecoderSession.BLOCK_SIZE) * DecoderSession.BLOCK_SIZE
                    + position % DecoderSession.BLOCK_SIZE;
        }

        private void write(StepPlan.Slice slice) {
            Sequence sequence = slice.sequence();
            int begin = sequence.length() - sequence.uncached();
            long before = 0;
            for (int position = 0; position < begin + slice.rows(); position++) {
                before = state(before, sequence.tokens()[position]);
                if (position >= begin) {
                    check(
                            !pool.isShared(sequence.block(position / DecoderSession.BLOCK_SIZE)),
                            "writes a shared block");
                    cache[slot(sequence, position)] = before;
                }
            }
        }

        /** All that the rows of a slice look at is what their sequence wrote, or would have. */
        private void checkContents(StepPlan.Slice slice) {
            Sequence sequence = slice.sequence();
            int end = sequence.length() - sequence.uncached() + slice.rows();
            long state = 0;
            for (int position = 0; position < end; position++) {
                state = state(state, sequence.tokens()[position]);
                check(cache[slot(sequence, position)] == state, "position " + position + " holds something else");
            }
        }

        private void draw(StepPlan.Slice slice) {
            Sequence sequence = slice.sequence();
            List<Sequence> forks = sequence.length() == sequence.promptLength() ? scheduler.fork(sequence) : List.of();
            long state = stateOf(sequence);
            long forked = state;
            int accepted = 0;
            for (boolean goesOn = true; goesOn; ) {
                int token = next(sequence, state);
                goesOn = append(sequence, token) && accepted < slice.drafts();
                if (goesOn) {
                    sequence.markCached(1);
                    accepted++;
                    state = state(state, token);
                }
            }
            if (sequence.group().spec().isScoring()) {
                check(accepted == slice.drafts(), "a token that is given was not accepted");
            } else {
                acceptedDrafts += accepted;
                rejectedDrafts += slice.drafts() - accepted;
            }
            for (Sequence fork : forks) {
                append(fork, next(fork, forked));
            }
        }

        private int next(Sequence sequence, long state) {
            RequestSpec spec = sequence.group().spec();
            return spec.isScoring()
                    ? spec.given().get(sequence.index())[sequence.length() - sequence.promptLength()]
                    : SchedulerTest.draw(state, sequence.index(), vocabSize);
        }

        private static long stateOf(Sequence sequence) {
            return SchedulerTest.stateOf(Arrays.copyOf(sequence.tokens(), sequence.length()));
        }

        /** What follows a beam is known now; with the last one, the search goes on by a token, or ends. */
        private void goOn(Sequence beam) {
            SequenceGroup group = beam.group();
            List<Sequence> all = beams.computeIfAbsent(group, key -> List.of(beam));
            check(all.contains(beam) && !beam.isResting(), "a beam runs that does not count");
            beam.rest();
            if (!all.stream().allMatch(Sequence::isResting)) {
                return;
            }
            List<BeamSearch.Successor> successors =
                    successors(all.stream().map(Simulation::stateOf).toList(), group.spec(), vocabSize);
            if (beam.length() - beam.promptLength() == group.spec().maxNewTokens() - 1) {
                for (int i = 0; i < successors.size(); i++) {
                    Sequence parent = all.get(successors.get(i).parent());
                    List<Integer> tokens = new ArrayList<>();
                    for (int at = parent.promptLength(); at < parent.length(); at++) {
                        tokens.add(parent.tokens()[at]);
                    }
                    tokens.add(successors.get(i).token());
                    drawn.get(group).put(i, tokens);
                }
                scheduler.remove(group);
                searches++;
            } else {
                beams.put(group, scheduler.succeed(all, successors));
            }
        }

        /** Whether the sequence goes on after a token that was drafted. */
        private boolean append(Sequence sequence, int token) {
            boolean isDraft = sequence.isDraft(token);
            sequence.append(token);
            drawn.get(sequence.group())
                    .computeIfAbsent(sequence.index(), index -> new ArrayList<>())
                    .add(token);
            if (sequence.length() - sequence.promptLength()
                    == sequence.group().spec().maxNewTokensOf(sequence.index())) {
                scheduler.end(sequence);
                return false;
            }
            return isDraft;
        }

        /** Every block is held by as many as have it in their tables, and all others are to be had. */
        private void checkBlocks() {
            int[] holders = new int[pool.size()];
            for (Sequence sequence : scheduler.running()) {
                for (int i = 0; i < sequence.blocks(); i++) {
                    holders[sequence.block(i)]++;
                }
            }
            int unheld = 0;
            for (int block = 0; block < holders.length; block++) {
                check(holders[block] == pool.holders(block), "block " + block + " is counted wrong");
                unheld += holders[block] == 0 ? 1 : 0;
            }
            check(unheld == pool.availableCount(), "a block is lost");
        }

        /** All answers of a request that ended are what it alone would have been given. */
        void checkAnswers(SequenceGroup group) {
            RequestSpec spec = group.spec();
            if (spec.beams().isPresent()) {
                check(beamsAlone(spec).equals(List.copyOf(drawn.get(group).values())), "beams have other answers");
                return;
            }
            for (int i = 0; i < spec.sequences(); i++) {
                long state = SchedulerTest.stateOf(spec.prompt());
                List<Integer> expected = new ArrayList<>();
                if (spec.isScoring()) {
                    Arrays.stream(spec.given().get(i)).forEach(expected::add);
                }
                for (int n = 0; n < spec.maxNewTokens() && !spec.isScoring(); n++) {
                    expected.add(SchedulerTest.draw(state, i, vocabSize));
                    state = state(state, expected.get(n));
                }
                check(expected.equals(drawn.get(group).get(i)), "sequence " + i + " has another answer");
            }
        }

        private List<List<Integer>> beamsAlone(RequestSpec spec) {
            List<int[]> all = List.of(spec.prompt());
            for (int n = 0; n < spec.maxNewTokens(); n++) {
                List<int[]> before = all;
                all = successors(before.stream().map(SchedulerTest::stateOf).toList(), spec, vocabSize).stream()
                        .map(successor -> {
                            int[] parent = before.get(successor.parent());
                            int[] longer = Arrays.copyOf(parent, parent.length + 1);
                            longer[parent.length] = successor.token();
                            return longer;
                        })
                        .toList();
            }
            return all.stream()
                    .map(tokens -> Arrays.stream(tokens, spec.prompt().length, tokens.length)
                            .boxed()
                            .toList())
                    .toList();
        }

        private static void check(boolean holds, String otherwise) {
            if (!holds) {
                throw new AssertionError(otherwise);
            }
        }
    }

    /**
     * Requests at random moments, some with the same beginnings, some cancelled, on caches that are mostly too small.
     */
    private static Simulation run(long seed) {
        Random random = new Random(seed);
        int blocks = 2 + random.nextInt(14);
        int maxSequences = 1 + random.nextInt(6);
        Simulation simulation = new Simulation(
                blocks,
                maxSequences + random.nextInt(30),
                maxSequences,
                random.nextBoolean(),
                random.nextBoolean() ? 256 : 2,
                random.nextBoolean());
        int[] beginning = random.ints(3 * DecoderSession.BLOCK_SIZE, 0, 3).toArray();
        List<SequenceGroup> groups = new ArrayList<>();
        List<SequenceGroup> cancelled = new ArrayList<>();
        int requests = 1 + random.nextInt(7);
        int work = 0;
        while (requests > 0 || !simulation.scheduler.isIdle()) {
            while (requests > 0 && (simulation.scheduler.isIdle() || random.nextInt(4) == 0)) {
                requests--;
                RequestSpec spec = randomSpec(random, beginning, blocks, maxSequences);
                groups.add(simulation.submit(spec));
                int sequences = spec.beams().map(BeamOptions::beams).orElse(spec.sequences());
                work += sequences * (spec.prompt().length + spec.maxNewTokens());
            }
            if (random.nextInt(40) == 0) {
                SequenceGroup group = groups.get(random.nextInt(groups.size()));
                simulation.scheduler.remove(group);
                cancelled.add(group);
                continue;
            }
            simulation.times.add(1 + random.nextInt(simulation.maxRows), 1 + random.nextInt(100));
            simulation.step(1 + random.nextInt(40), random.nextInt(60));
            // Each step of the first sequence is a step ahead, so no more of them are needed than there is work.
            Simulation.check(simulation.steps <= 2 * work, "goes on for ever");
        }
        Simulation.check(simulation.pool.availableCount() == blocks, "blocks are lost");
        groups.removeAll(cancelled);
        groups.forEach(simulation::checkAnswers);
        return simulation;
    }

    private static RequestSpec randomSpec(Random random, int[] beginning, int blocks, int maxSequences) {
        int most = blocks * DecoderSession.BLOCK_SIZE;
        int[] own = random.ints(1 + random.nextInt(20), 0, 200).toArray();
        int same = random.nextInt(beginning.length + 1);
        int[] prompt = Arrays.copyOf(beginning, same + own.length);
        System.arraycopy(own, 0, prompt, same, own.length);
        if (prompt.length > most) {
            prompt = Arrays.copyOf(prompt, most);
        }
        int maxNewTokens = 1 + random.nextInt(Math.min(24, most - prompt.length + 1));
        int sequences = 1 + random.nextInt(3) * random.nextInt(3);
        int kind = random.nextInt(8);
        if (kind == 0) {
            List<int[]> given = new ArrayList<>();
            for (int i = 0; i < sequences; i++) {
                given.add(random.ints(1 + random.nextInt(maxNewTokens), 0, 3).toArray());
            }
            return RequestSpec.scoring(prompt, given, Optional.empty(), "", 0);
        }
        if (kind == 1 && maxSequences > 1) {
            RequestSpec search = new TestSpec(prompt, maxNewTokens)
                    .beams(BeamOptions.of(2 + random.nextInt(maxSequences - 1)))
                    .build();
            if (Scheduler.leastBlocks(search) <= blocks) {
                return search;
            }
        }
        return spec(prompt, sequences, maxNewTokens);
    }

    @Test
    void anyScript_keepsBlocksBudgetsAndAnswersRight_andEnds() {
        long preemptions = 0;
        long rejectedDrafts = 0;
        long acceptedDrafts = 0;
        long searches = 0;
        for (long seed = 0; seed < SCRIPTS; seed++) {
            try {
                Simulation simulation = run(seed);
                preemptions += simulation.scheduler.preemptions();
                acceptedDrafts += simulation.acceptedDrafts;
                rejectedDrafts += simulation.rejectedDrafts;
                searches += simulation.searches;
            } catch (RuntimeException | Error e) {
                throw new AssertionError("seed " + seed + ": " + e.getMessage(), e);
            }
        }
        assertThat(preemptions).as("scripts that are not too easy").isGreaterThan(SCRIPTS / 10);
        assertThat(acceptedDrafts).isGreaterThan(SCRIPTS / 10);
        assertThat(rejectedDrafts).isGreaterThan(SCRIPTS / 10);
        assertThat(searches).isGreaterThan(SCRIPTS / 10);
    }

    private static int[] tokens(int first, int count) {
        int[] tokens = new int[count];
        Arrays.setAll(tokens, i -> first + i);
        return tokens;
    }

    @Test
    void requestsThatCameLater_joinTheRunningOnes() {
        Simulation simulation = new Simulation(40, 64, 8, true);
        simulation.submit(spec(tokens(0, 10), 1, 20));
        assertThat(simulation.step(64).rows()).isEqualTo(10);
        simulation.submit(spec(tokens(50, 7), 1, 20));
        simulation.submit(spec(tokens(70, 6), 1, 20));
        assertThat(simulation.step(64).rows()).isEqualTo(1 + 7 + 6);
        assertThat(simulation.step(64).rows()).isEqualTo(3);
    }

    @Test
    void requestForManyAnswers_leavesTheNextFreeRowToWhoeverCameLater() {
        BlockPool pool = new BlockPool(1000, true);
        Scheduler scheduler = new Scheduler(pool, 64, 4, Optional.empty());
        SequenceGroup many = new SequenceGroup(spec(tokens(1, 20), 100, 50), 0, "");
        scheduler.add(many);
        scheduler.markCached(scheduler.plan(64, 64));
        Sequence first = scheduler.running().get(0);
        List<Sequence> forks = scheduler.fork(first);
        assertThat(forks).hasSize(3);
        SequenceGroup later = new SequenceGroup(spec(tokens(7, 20), 2, 50), 1, "");
        scheduler.add(later);
        assertThat(scheduler.plan(64, 64).slices())
                .noneMatch(slice -> slice.sequence().group() == later);
        scheduler.end(forks.get(0));
        scheduler.plan(64, 64);
        assertThat(later.running()).isEqualTo(1);
        assertThat(many.running()).isEqualTo(3);
    }

    @Test
    void promptLongerThanTheBudget_isReadInPieces_besideWhatIsDecoded() {
        Simulation simulation = new Simulation(40, 64, 8, true);
        simulation.submit(spec(tokens(0, 4), 1, 20));
        simulation.step(8);
        simulation.submit(spec(tokens(50, 20), 1, 20));
        List<Integer> rows = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            rows.add(simulation.step(8).rows());
        }
        assertThat(rows).containsExactly(1 + 8, 1 + 8, 1 + 4, 2);
    }

    /** Rows of each sequence in a step. */
    private static List<Integer> rowsOf(StepPlan plan, SequenceGroup... groups) {
        return Arrays.stream(groups)
                .map(group -> plan.slices().stream()
                        .filter(slice -> slice.sequence().group() == group)
                        .mapToInt(StepPlan.Slice::rows)
                        .sum())
                .toList();
    }

    /** The same of several steps, with so many rows for prompts each. */
    private static List<List<Integer>> rowsOfSteps(
            Simulation simulation, int steps, int prefillRows, SequenceGroup... groups) {
        List<List<Integer>> rows = new ArrayList<>();
        for (int i = 0; i < steps; i++) {
            rows.add(rowsOf(simulation.step(prefillRows), groups));
        }
        return rows;
    }

    @Test
    void shortPromptsBehindALongOne_areReadBesideIt_theShortestFirst() {
        Simulation simulation = new Simulation(100, 64, 8, true);
        SequenceGroup first = simulation.submit(spec(tokens(0, 100), 1, 20));
        SequenceGroup second = simulation.submit(spec(tokens(200, 120), 1, 20));
        SequenceGroup middle = simulation.submit(spec(tokens(400, 12), 1, 20));
        SequenceGroup small = simulation.submit(spec(tokens(600, 6), 1, 20));
        SequenceGroup[] all = {first, second, middle, small};
        assertThat(rowsOfSteps(simulation, 9, 20, all))
                .containsExactly(
                        List.of(10, 0, 4, 6),
                        List.of(12, 0, 8, 1),
                        List.of(20, 0, 1, 1),
                        List.of(20, 0, 1, 1),
                        List.of(20, 0, 1, 1),
                        List.of(18, 2, 1, 1),
                        List.of(1, 20, 1, 1),
                        List.of(1, 20, 1, 1),
                        List.of(1, 20, 1, 1));
    }

    @Test
    void longPrompts_areReadInTheEnd_howeverManyShortOnesCome() {
        Simulation simulation = new Simulation(100, 64, 8, true);
        SequenceGroup first = simulation.submit(spec(tokens(0, 200), 1, 4));
        SequenceGroup second = simulation.submit(spec(tokens(200, 300), 1, 4));
        int steps = 0;
        while (!second.hasEnded()) {
            simulation.submit(spec(tokens(1000 + 20 * steps, 10), 1, 1));
            simulation.step(16);
            steps++;
            // 8 of 16 rows are theirs, and an answer of 4 tokens after each.
            assertThat(steps).isLessThanOrEqualTo((200 + 300) / 8 + 2 * 4);
        }
        assertThat(first.hasEnded()).isTrue();
    }

    @Test
    void oldPrompt_takesTheBlocksOfAnswersThatBeganLater() {
        Simulation simulation = new Simulation(13, 64, 8, true);
        SequenceGroup old = simulation.submit(spec(tokens(0, 128), 1, 4));
        for (int i = 0; i < 4; i++) {
            simulation.submit(spec(tokens(200 + 20 * i, 15), 1, 60));
        }
        int read = 0;
        while (read < 128) {
            int rows = rowsOf(simulation.step(2), old).get(0);
            assertThat(rows).isPositive();
            read += rows;
        }
        assertThat(simulation.scheduler.preemptions()).isPositive();
    }

    @Test
    void search_findsPlacesForItsBeams_whenItsPromptIsRead() {
        Simulation simulation = new Simulation(200, 64, 6, true);
        SequenceGroup search = simulation.submit(
                new TestSpec(tokens(0, 60), 10).beams(BeamOptions.of(4)).build());
        for (int i = 0; i < 8; i++) {
            simulation.submit(spec(tokens(200 + 20 * i, 10), 1, 40));
        }
        simulation.step(20);
        assertThat(simulation.scheduler.running()).hasSize(6 - 3);
        while (search.running() < 4) {
            simulation.step(20);
            assertThat(simulation.scheduler.running()).hasSizeLessThanOrEqualTo(6);
            assertThat(simulation.steps).isLessThan(6);
        }
    }

    @Test
    void ofShortPromptsThatBeginAlike_theShortestReadsTheBeginning() {
        Simulation simulation = new Simulation(200, 64, 8, true);
        SequenceGroup old = simulation.submit(spec(tokens(0, 150), 1, 4));
        int[] beginning = Arrays.copyOf(tokens(500, 32), 100);
        SequenceGroup longer = simulation.submit(spec(beginning, 1, 4));
        SequenceGroup shorter = simulation.submit(spec(Arrays.copyOf(beginning, 40), 1, 4));
        assertThat(rowsOfSteps(simulation, 3, 50, old, longer, shorter))
                .containsExactly(List.of(25, 0, 25), List.of(35, 0, 15), List.of(25, 25, 1));
        assertThat(simulation.scheduler.foundTokens()).isEqualTo(32);
    }

    @Test
    void shortPromptOfAnotherTenant_doesNotWaitForALongOne() {
        Simulation simulation = new Simulation(200, 64, 8, true);
        SequenceGroup old = simulation.submit(spec(tokens(0, 150), 1, 4));
        SequenceGroup other = new SequenceGroup(spec(Arrays.copyOf(tokens(0, 32), 40), 1, 4), 1, "another");
        simulation.scheduler.add(other);
        assertThat(rowsOf(simulation.scheduler.plan(32, 64), old, other)).containsExactly(16, 16);
    }

    @Test
    void shortPromptThatBeginsAsALongOne_waitsForWhatThatOneReads() {
        Simulation simulation = new Simulation(100, 64, 8, true);
        SequenceGroup large = simulation.submit(spec(tokens(0, 100), 1, 20));
        int[] beginning = Arrays.copyOf(tokens(0, 32), 37);
        SequenceGroup small = simulation.submit(spec(beginning, 1, 20));
        assertThat(rowsOfSteps(simulation, 4, 16, large, small))
                .containsExactly(List.of(16, 0), List.of(16, 0), List.of(11, 5), List.of(16, 1));
        assertThat(simulation.scheduler.foundTokens()).isEqualTo(32);
    }

    @Test
    void samePromptAgain_isFoundInTheCache_butForItsLastBlock() {
        Simulation simulation = new Simulation(40, 64, 8, true);
        for (int round = 0; round < 2; round++) {
            simulation.submit(spec(tokens(0, 40), 1, 3));
            assertThat(simulation.step(64).rows()).isEqualTo(round == 0 ? 40 : 8);
            while (!simulation.scheduler.isIdle()) {
                simulation.step(64);
            }
        }
        assertThat(simulation.scheduler.lookedUpTokens()).isEqualTo(80);
        assertThat(simulation.scheduler.foundTokens()).isEqualTo(32);
    }

    @Test
    void answerAndPrompt_areFoundByTheNextPromptThatHasBoth() {
        Simulation simulation = new Simulation(40, 64, 8, true);
        SequenceGroup first = simulation.submit(spec(tokens(0, 20), 1, 14));
        while (!simulation.scheduler.isIdle()) {
            simulation.step(64);
        }
        List<Integer> all = new ArrayList<>();
        Arrays.stream(tokens(0, 20)).forEach(all::add);
        all.addAll(simulation.drawn.get(first).get(0));
        simulation.submit(spec(all.stream().mapToInt(Integer::intValue).toArray(), 1, 1));
        assertThat(simulation.step(64).rows()).isEqualTo(34 - 32);
    }

    @Test
    void withoutTheCache_requestsShareNothing_butSequencesOfOneDo() {
        Simulation simulation = new Simulation(40, 64, 2, false);
        simulation.submit(spec(tokens(0, 40), 3, 3));
        simulation.submit(spec(tokens(0, 40), 1, 3));
        assertThat(simulation.step(64).rows()).isEqualTo(40 + 24);
    }

    @Test
    void whenBlocksRunOut_theLastOneWaits_andGoesOnLater() {
        Simulation simulation = new Simulation(5, 64, 8, false);
        SequenceGroup first = simulation.submit(spec(tokens(0, 16), 1, 40));
        SequenceGroup second = simulation.submit(spec(tokens(100, 16), 1, 40));
        while (!first.hasEnded()) {
            StepPlan plan = simulation.step(64);
            assertThat(plan.slices().get(0).sequence().group()).isSameAs(first);
        }
        assertThat(simulation.scheduler.preemptions()).isEqualTo(1);
        while (!second.hasEnded()) {
            simulation.step(64);
        }
        simulation.checkAnswers(first);
        simulation.checkAnswers(second);
    }

    @Test
    void requestThatFitsByItself_waitsUntilThereIsRoom_andIsNotOvertaken() {
        Simulation simulation = new Simulation(8, 64, 8, true);
        SequenceGroup running = simulation.submit(spec(tokens(0, 40), 1, 20));
        simulation.step(64);
        SequenceGroup large = simulation.submit(spec(tokens(100, 100), 1, 20));
        SequenceGroup small = simulation.submit(spec(tokens(200, 3), 1, 3));
        while (!running.hasEnded()) {
            assertThat(simulation.step(64).slices()).hasSize(1);
        }
        simulation.step(64);
        assertThat(large.running()).isEqualTo(1);
        while (!small.hasEnded()) {
            simulation.step(64);
        }
    }
}
