package org.dolly4j.model;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import org.dolly4j.CheckpointException;
import org.dolly4j.checkpoint.Checkpoint;
import org.dolly4j.checkpoint.ConfigValues;
import org.dolly4j.checkpoint.DType;
import org.dolly4j.checkpoint.TensorLocation;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A family whose tensors are found by their names, with or without the prefix of Hugging Face's class. What the
 * families say are these names, and which rows of the slots the rows of each tensor are.
 */
abstract sealed class NamedTensors implements Family permits GptNeoX, GptJ {
    /**
     * A tensor that fills rows of a slot.
     *
     * @param name name without prefix
     * @param runs where its rows go; together all rows it has
     */
    record Source(String name, List<SlotRows.Run> runs) {
        /** A tensor that is the whole slot. */
        static Source whole(String name, int rows) {
            return new Source(name, List.of(new SlotRows.Run(0, 0, rows)));
        }

        private long rows() {
            return runs.stream().mapToLong(SlotRows.Run::count).sum();
        }
    }

    private static final Logger LOG = LoggerFactory.getLogger(NamedTensors.class);

    /** Most names listed in a message. */
    private static final int NAMES_SHOWN = 5;

    private static final Set<DType> WEIGHT_DTYPES = Set.of(DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16);

    private final String title;
    private final String prefix;
    private final String embedding;
    private final String head;
    private final Pattern buffer;

    /**
     * @param title what people call the family
     * @param prefix that names may begin with
     * @param embedding name of the embedding without prefix
     * @param head name of the head's weights
     * @param buffer names without prefix of what older versions stored beside the weights
     */
    NamedTensors(String title, String prefix, String embedding, String head, Pattern buffer) {
        this.title = title;
        this.prefix = prefix;
        this.embedding = embedding;
        this.head = head;
        this.buffer = buffer;
    }

    /** The decoder that config.json describes. */
    abstract DecoderSpec spec(ConfigValues config, boolean tiedHead);

    /** The name that {@link #sources} has for what a checkpoint calls so. */
    String currentName(String name) {
        return name;
    }

    /** Says which tensors fill the slots of a decoder. */
    @FunctionalInterface
    interface SlotSources {
        /** The tensors that fill a slot which the decoder has, all rows of it. */
        List<Source> of(WeightSlot slot, int layer);
    }

    /** Which tensors fill the slots of a decoder; rows that are the same in all layers are listed once. */
    abstract SlotSources sources(DecoderSpec spec);

    @Override
    public final WeightPlan plan(Checkpoint checkpoint) {
        Map<String, TensorLocation> tensors = byPlainName(checkpoint);
        boolean tied = isTied(checkpoint, tensors);
        DecoderSpec spec = spec(checkpoint.config(), tied);
        if (tied) {
            TensorLocation both = tensors.remove(head);
            if (both != null) {
                tensors.put(embedding, both);
            }
        }
        List<SlotRows> rows = new ArrayList<>();
        Set<String> used = new HashSet<>();
        List<String> missing = new ArrayList<>();
        forEachSource(spec, (slot, layer, source) -> {
            TensorLocation tensor = tensors.get(source.name);
            if (tensor == null) {
                missing.add(source.name);
            } else {
                requireFit(source.rows(), spec, slot, tensor);
                rows.add(new SlotRows(tensor, slot, layer, source.runs));
                used.add(source.name);
            }
        });
        if (!missing.isEmpty()) {
            throw new CheckpointException(checkpoint.folder() + ": lacks " + list(missing)
                    + ". Its config.json and its weights are not of the same model, or it is incomplete.");
        }
        List<String> unknown = unknown(tensors, used);
        if (!unknown.isEmpty()) {
            LOG.warn("{}: ignores {}, which {} does not have.", checkpoint.folder(), list(unknown), title);
        }
        return new WeightPlan(spec, rows, unknown);
    }

    @Override
    public final TensorRoles roles(Checkpoint checkpoint) {
        Map<String, TensorLocation> tensors = byPlainName(checkpoint);
        boolean tied = isTied(checkpoint, tensors);
        Set<String> known = new HashSet<>();
        known.add(head);
        forEachSource(spec(checkpoint.config(), tied), (slot, layer, source) -> known.add(source.name));
        Set<TensorLocation> weights = new HashSet<>(tensors.values());
        List<String> buffers = checkpoint.tensors().values().stream()
                .filter(tensor -> !weights.contains(tensor))
                .map(TensorLocation::name)
                .toList();
        boolean twice =
                tied && tensors.containsKey(head) && tensors.containsKey(embedding) && ties(checkpoint.config());
        return new TensorRoles(
                buffers, twice ? Optional.of(tensors.get(head).name()) : Optional.empty(), unknown(tensors, known));
    }

    /** Takes the tensors of all slots in turn. */
    @FunctionalInterface
    private interface SourceVisitor {
        void visit(WeightSlot slot, int layer, Source source);
    }

    private void forEachSource(DecoderSpec spec, SourceVisitor visitor) {
        SlotSources sources = sources(spec);
        for (WeightSlot slot : WeightSlot.values()) {
            for (int layer = 0; spec.has(slot) && layer < (slot.isPerLayer() ? spec.layers() : 1); layer++) {
                for (Source source : sources.of(slot, layer)) {
                    visitor.visit(slot, layer, source);
                }
            }
        }
    }

    /** Names in the checkpoint of tensors that are not known, sorted. */
    private static List<String> unknown(Map<String, TensorLocation> tensors, Set<String> known) {
        return tensors.entrySet().stream()
                .filter(entry -> !known.contains(entry.getKey()))
                .map(entry -> entry.getValue().name())
                .sorted()
                .toList();
    }

    @Override
    public final DecoderSpec spec(ConfigValues config) {
        return spec(config, ties(config));
    }

    private static boolean ties(ConfigValues config) {
        return config.bool("tie_word_embeddings").orElse(false);
    }

    /** Tensors under their current names without prefix, buffers left out. */
    private Map<String, TensorLocation> byPlainName(Checkpoint checkpoint) {
        Map<String, TensorLocation> tensors = new HashMap<>();
        checkpoint.tensors().forEach((name, tensor) -> {
            String plain = name.startsWith(prefix) ? name.substring(prefix.length()) : name;
            if (buffer.matcher(plain).matches()) {
                return;
            }
            TensorLocation other = tensors.put(currentName(plain), tensor);
            if (other != null) {
                throw new CheckpointException(checkpoint.folder() + ": holds the same weights as '" + other.name()
                        + "' and as '" + name + "'. Remove one of them.");
            }
        });
        return tensors;
    }

    /**
     * Whether the head is the embedding. Files of {@code torch.save} hold a tied tensor under both names; if the two
     * differ although config.json ties them, both are used, as in Hugging Face.
     */
    private boolean isTied(Checkpoint checkpoint, Map<String, TensorLocation> tensors) {
        boolean tie = ties(checkpoint.config());
        TensorLocation embeddingTensor = tensors.get(embedding);
        TensorLocation headTensor = tensors.get(head);
        if (embeddingTensor == null || headTensor == null) {
            return tie;
        }
        boolean same = embeddingTensor.sameElementsAs(headTensor);
        if (tie && !same) {
            LOG.warn(
                    "{}: tie_word_embeddings is true, but there are two tensors '{}' and '{}'; both are used.",
                    checkpoint.config().file(),
                    embeddingTensor.name(),
                    headTensor.name());
        }
        return same;
    }

    private static void requireFit(long rows, DecoderSpec spec, WeightSlot slot, TensorLocation tensor) {
        List<Long> expected = slot.isVector() ? List.of(rows) : List.of(rows, (long) spec.columns(slot));
        if (!tensor.shape().equals(expected)) {
            throw new CheckpointException(String.format(
                    Locale.ROOT,
                    "%s: tensor '%s' has the shape %s, but config.json implies %s. They are not of the same model.",
                    tensor.path(),
                    tensor.name(),
                    tensor.shape(),
                    expected));
        }
        if (!WEIGHT_DTYPES.contains(tensor.dtype())) {
            throw new CheckpointException(String.format(
                    Locale.ROOT,
                    "%s: tensor '%s' is of %s; weights in %s are supported.",
                    tensor.path(),
                    tensor.name(),
                    tensor.dtype(),
                    WEIGHT_DTYPES.stream().sorted().toList()));
        }
    }

    private static String list(List<String> names) {
        String shown = String.join(", ", names.subList(0, Math.min(names.size(), NAMES_SHOWN)));
        int more = names.size() - NAMES_SHOWN;
        return (names.size() == 1 ? "the tensor " : "the tensors ")
                + shown
                + (more > 0 ? " and " + more + " more" : "");
    }
}
