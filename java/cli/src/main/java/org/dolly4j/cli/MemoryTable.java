package org.dolly4j.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.dolly4j.LoadPlan;
import org.dolly4j.runtime.MemoryPlan;

/** What a model would take of memory in each type of weights, for a person and as JSON. */
final class MemoryTable {
    private static final List<String> HEADER =
            List.of("DTYPE", "WEIGHTS", "KV CACHE", "WORKSPACE", "OTHER", "TOTAL", "");

    private MemoryTable() {}

    /** A line for each type, under a header. */
    static List<String> lines(LoadPlan plan) {
        List<List<String>> rows = new ArrayList<>();
        rows.add(HEADER);
        for (MemoryPlan one : plan.plans()) {
            rows.add(List.of(
                    NameConverter.name(one.options().dtype()),
                    ByteSize.text(one.weights().total()),
                    ByteSize.text(one.kvCacheBytes()),
                    ByteSize.text(one.workspaceBytes()),
                    ByteSize.text(one.processBytes() + one.loadingBytes()),
                    ByteSize.text(one.totalBytes()),
                    verdict(plan, one)));
        }
        List<String> lines = new ArrayList<>();
        for (List<String> row : rows) {
            StringBuilder line = new StringBuilder();
            for (int column = 0; column < row.size(); column++) {
                int at = column;
                int width = rows.stream()
                        .mapToInt(one -> one.get(at).length())
                        .max()
                        .orElse(0);
                String cell = row.get(column);
                String blanks = " ".repeat(width - cell.length());
                line.append(column == 0 || column == row.size() - 1 ? cell + blanks : blanks + cell)
                        .append("  ");
            }
            lines.add(line.toString().stripTrailing());
        }
        return lines;
    }

    /** What memory there is, and what limits it. */
    static String available(LoadPlan plan) {
        var available = plan.plans().get(0).available();
        return ByteSize.text(available.bytes()) + " available by " + available.source()
                + (available.swapBytes() > 0 ? ", and " + ByteSize.text(available.swapBytes()) + " of swap" : "");
    }

    /** The same in bytes. */
    static void addTo(JsonObject object, LoadPlan plan) {
        var available = plan.plans().get(0).available();
        object.addProperty("available_bytes", available.bytes());
        object.addProperty("available_swap_bytes", available.swapBytes());
        object.addProperty("available_by", available.source());
        JsonArray array = new JsonArray();
        for (MemoryPlan one : plan.plans()) {
            JsonObject entry = new JsonObject();
            entry.addProperty("dtype", NameConverter.name(one.options().dtype()));
            entry.addProperty("weight_bytes", one.weights().total());
            entry.addProperty("kv_cache_bytes", one.kvCacheBytes());
            entry.addProperty("kv_cache_tokens", one.kvCacheTokens());
            entry.addProperty("workspace_bytes", one.workspaceBytes());
            entry.addProperty("loading_bytes", one.loadingBytes());
            entry.addProperty("process_bytes", one.processBytes());
            entry.addProperty("total_bytes", one.totalBytes());
            entry.addProperty("fits", one.fits());
            entry.addProperty("chosen", isChosen(plan, one));
            array.add(entry);
        }
        object.add("memory_plans", array);
    }

    private static String verdict(LoadPlan plan, MemoryPlan one) {
        String fit = one.fits() ? "" : "does not fit";
        if (!isChosen(plan, one)) {
            return fit;
        }
        return fit.isEmpty() ? "chosen" : "chosen, " + fit;
    }

    private static boolean isChosen(LoadPlan plan, MemoryPlan one) {
        return plan.chosen().equals(Optional.of(one));
    }
}
