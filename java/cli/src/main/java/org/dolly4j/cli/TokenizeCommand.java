package org.dolly4j.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.util.Arrays;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.dolly4j.hub.Hub;
import org.dolly4j.tokenizer.Tokenizer;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code dolly tokenize}: shows the tokens of a text, or the text of tokens. Needs no native code. */
@Command(
        name = "tokenize",
        descriptionHeading = "%n",
        description = "Shows the tokens of a text, one a line, or the text of token ids.",
        sortOptions = false,
        parameterListHeading = "%n",
        versionProvider = Version.class,
        footer = {
            "%nExamples:",
            "  dolly tokenize \"The capital of Peru\"",
            "  dolly tokenize --ids \"The capital of Peru\" | dolly tokenize --decode%n",
        })
final class TokenizeCommand implements Callable<Integer> {
    private static final char REPLACEMENT = '\uFFFD';

    private final Console console;

    @Spec
    CommandSpec spec;

    @Parameters(
            arity = "0..1",
            paramLabel = "TEXT",
            description = "The text; - reads it from standard input, as does none if that is no terminal.")
    Optional<String> text = Optional.empty();

    @Option(
            names = {"-m", "--model"},
            paramLabel = "PATH|ID",
            description =
                    "Folder that holds tokenizer.json, or that file, or the id of a model on the Hugging Face hub;"
                            + " by default the demo model's.")
    Optional<String> model = Optional.empty();

    @Mixin
    HubArguments hub = new HubArguments();

    @ArgGroup
    Form form = new Form();

    @Option(names = "--split-special-tokens", description = "Take special tokens that stand in the text as plain text.")
    boolean splitSpecialTokens;

    @Option(names = "--skip-special-tokens", description = "With --decode: leave out special tokens.")
    boolean skipSpecialTokens;

    @Mixin
    CommonOptions common = new CommonOptions();

    TokenizeCommand(Console console) {
        this.console = console;
    }

    /** What is shown. */
    static final class Form {
        @Option(names = "--ids", description = "Print the token ids alone, in one line.")
        boolean ids;

        @Option(names = "--decode", description = "The text is token ids, with blanks or commas between; print theirs.")
        boolean decode;

        @Option(names = "--json", description = "Print a JSON object: ids, tokens (as tokenizer.json spells them).")
        boolean json;
    }

    @Override
    public Integer call() {
        require(!skipSpecialTokens || form.decode, "--skip-special-tokens goes with --decode only.");
        require(!splitSpecialTokens || !form.decode, "--split-special-tokens does not go with --decode.");
        boolean reads = text.isEmpty() ? !console.inputIsTerminal() : text.get().equals("-");
        require(reads || text.isPresent(), "Give a text in quotes, or - to read it from standard input.");
        String input = reads ? console.readInput() : text.get();
        if (form.decode) {
            int[] ids = ids(input);
            console.out().println(tokenizer().decode(ids, skipSpecialTokens));
        } else {
            Tokenizer tokenizer = tokenizer();
            show(tokenizer, splitSpecialTokens ? tokenizer.encodeAsText(input) : tokenizer.encode(input));
        }
        return 0;
    }

    private Tokenizer tokenizer() {
        if (model.isPresent()) {
            return Tokenizer.load(hub.path(model.get(), console, Hub::downloadTokenizer));
        }
        hub.requireNoRevision();
        console.err()
                .println("dolly: these are the demo model's tokens; for others give a model's folder: --model PATH");
        return DemoTokenizer.load();
    }

    private void show(Tokenizer tokenizer, int[] ids) {
        if (form.ids) {
            console.out().println(Arrays.stream(ids).mapToObj(Integer::toString).collect(Collectors.joining(" ")));
        } else if (form.json) {
            JsonObject object = new JsonObject();
            object.add("ids", JsonAnswers.array(ids));
            JsonArray tokens = new JsonArray();
            for (int id : ids) {
                tokens.add(tokenizer.token(id).orElseThrow());
            }
            object.add("tokens", tokens);
            console.out().println(JsonAnswers.GSON.toJson(object));
        } else {
            for (int id : ids) {
                console.out().println("%6d  %s".formatted(id, shown(tokenizer, id)));
            }
        }
    }

    /** The text of a token in quotes; of one that holds a part of a character only, its spelling. */
    private static String shown(Tokenizer tokenizer, int id) {
        String own = tokenizer.decode(new int[] {id}, false);
        return own.indexOf(REPLACEMENT) < 0
                ? JsonAnswers.GSON.toJson(own)
                : tokenizer.token(id).orElseThrow() + "  (bytes of a character)";
    }

    private int[] ids(String input) {
        String list = input.strip();
        String[] words = list.isEmpty() ? new String[0] : list.split("[\\s,]+");
        int[] ids = new int[words.length];
        for (int i = 0; i < words.length; i++) {
            require(
                    words[i].matches("[0-9]{1,9}"),
                    "Expected token ids, numbers from 0, but found '" + words[i] + "'.");
            ids[i] = Integer.parseInt(words[i]);
        }
        return ids;
    }

    private void require(boolean holds, String message) {
        if (!holds) {
            throw new ParameterException(spec.commandLine(), message);
        }
    }
}
