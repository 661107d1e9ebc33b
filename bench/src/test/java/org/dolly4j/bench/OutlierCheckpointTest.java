package org.dolly4j.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import org.dolly4j.bench.RandomCheckpoint.Format;
import org.dolly4j.checkpoint.Checkpoint;
import org.dolly4j.checkpoint.DType;
import org.dolly4j.checkpoint.TensorLocation;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OutlierCheckpointTest {
    private static final String BLOCK = "gpt_neox.layers.1.";
    private static final int HIDDEN = 64;

    @TempDir
    private Path folder;

    /** A tiny checkpoint, and below it the one made of it with channels 0 and 32 fifty times as large. */
    private Path changed(Format format, DType dtype) throws IOException {
        RandomCheckpoint.write(source(), ModelShape.TINY, format, dtype, 0.02, 0, 2);
        Path target = Files.createDirectory(folder.resolve("changed"));
        OutlierCheckpoint.write(source(), target, 50, 2, 2);
        return target;
    }

    private Path source() {
        return folder.resolve("source");
    }

    private static float[] values(Path checkpoint, String name) throws IOException {
        TensorLocation tensor = Checkpoint.open(checkpoint).tensors().get(name);
        float[] values = new float[Math.toIntExact(tensor.elements())];
        try (FileChannel file = FileChannel.open(tensor.path())) {
            ByteBuffer bytes = file.map(FileChannel.MapMode.READ_ONLY, tensor.offset(), tensor.length())
                    .order(ByteOrder.LITTLE_ENDIAN);
            for (int i = 0; i < values.length; i++) {
                values[i] = tensor.dtype() == DType.BFLOAT16
                        ? Float.intBitsToFloat(bytes.getShort() << Short.SIZE)
                        : bytes.getFloat();
            }
        }
        return values;
    }

    private void assertChanged(Path changed, String name, double factor) throws IOException {
        float[] before = values(source(), name);
        float[] after = values(changed, name);
        assertThat(after).hasSameSizeAs(before);
        for (int i = 0; i < before.length; i++) {
            double expected = before[i] * (i % HIDDEN % 32 == 0 ? factor : 1);
            assertThat((double) after[i]).isCloseTo(expected, within(1e-6 * Math.abs(expected)));
        }
    }

    @Test
    void normsGrow_andTheMatricesThatTakeThemShrink() throws IOException {
        Path changed = changed(Format.SAFETENSORS, DType.BFLOAT16);

        for (String norm : new String[] {"input_layernorm", "post_attention_layernorm"}) {
            assertChanged(changed, BLOCK + norm + ".weight", 50);
            assertChanged(changed, BLOCK + norm + ".bias", 50);
        }
        assertChanged(changed, BLOCK + "attention.query_key_value.weight", 1 / 50.0);
        assertChanged(changed, BLOCK + "mlp.dense_h_to_4h.weight", 1 / 50.0);
        for (String same : new String[] {
            BLOCK + "attention.query_key_value.bias",
            BLOCK + "attention.dense.weight",
            BLOCK + "mlp.dense_4h_to_h.weight",
            "gpt_neox.final_layer_norm.weight",
            "embed_out.weight"
        }) {
            assertChanged(changed, same, 1);
        }
        assertThat(Checkpoint.open(changed).weightDType()).isEqualTo(DType.FLOAT32);
    }

    @Test
    void shards_becomeOneFile() throws IOException {
        assertChanged(changed(Format.SHARDED, DType.FLOAT32), BLOCK + "input_layernorm.weight", 50);
    }

    @Test
    void masksOfOldFiles_areLeftOut() throws IOException {
        Path changed = changed(Format.BIN, DType.BFLOAT16);

        assertChanged(changed, BLOCK + "post_attention_layernorm.bias", 50);
        assertThat(Checkpoint.open(changed).tensors()).doesNotContainKey(BLOCK + "attention.bias");
    }

    @Test
    void moreChannelsThanThereAre_areRefused() throws IOException {
        RandomCheckpoint.write(source(), ModelShape.TINY, Format.SAFETENSORS, DType.BFLOAT16, 0.02, 0, 2);
        Path target = Files.createDirectory(folder.resolve("changed"));

        assertThatThrownBy(() -> OutlierCheckpoint.write(source(), target, 50, HIDDEN + 1, 1))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("--channels must be at most 64, not 65");
        assertThat(target).isEmptyDirectory();
    }
}
