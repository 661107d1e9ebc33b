package org.dolly4j.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.dolly4j.CheckpointException;
import org.dolly4j.TestTokenizers;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Damaged files, and features that are not supported: each ends in one clear error. */
class TokenizerFilesTest {
    @TempDir
    Path folder;

    private String valid;

    @BeforeEach
    void writeValidTokenizer() throws IOException {
        valid = Files.readString(TestTokenizers.resource("/tokenizers/small/tokenizer.json"));
        write("tokenizer.json", valid);
    }

    @Test
    void validTokenizer_loadsFromItsFolderAndFromItsFile() throws IOException {
        write("tokenizer_config.json", "{\"eos_token\": \"### End\"}");

        assertThat(Tokenizer.load(folder).vocabSize()).isEqualTo(270);
        assertThat(Tokenizer.load(folder.resolve("tokenizer.json")).eosTokenId())
                .hasValue(267);
    }

    static Stream<Arguments> unsupportedFeatures() {
        return Stream.of(
                defect("'type': 'BPE'", "'type': 'WordPiece'", "model.type is 'WordPiece'"),
                defect("'type': 'NFC'", "'type': 'Lowercase'", "normalizer of type 'Lowercase' is not supported"),
                defect(
                        "{'type': 'NFC'}",
                        "{'type': 'Sequence', 'normalizers': [{'type': 'NFC'}, {'type': 'Strip'}]}",
                        "normalizer of type 'Strip' is not supported"),
                defect("'type': 'NFC'", "'type': 'NFC', 'form': 9", "normalizer.form is not known"),
                defect(
                        "'pre_tokenizer': {'type': 'ByteLevel'",
                        "'pre_tokenizer': {'type': 'Metaspace'",
                        "pre_tokenizer of type 'Metaspace' is not supported"),
                defect(
                        "'pre_tokenizer': {'type': 'ByteLevel'",
                        "'pre_tokenizer': {'mode': 2, 'type': 'ByteLevel'",
                        "pre_tokenizer.mode is not known"),
                defect(
                        "'post_processor': {'type': 'ByteLevel'",
                        "'post_processor': {'type': 'RobertaProcessing'",
                        "post_processor of type 'RobertaProcessing' is not supported"),
                defect(
                        "'post_processor': {'type': 'ByteLevel'",
                        "'post_processor': {'single': [{'SpecialToken': {'id': '[CLS]'}}], 'type': 'TemplateProcessing'",
                        "adds {\"SpecialToken\":{\"id\":\"[CLS]\"}} to every text"),
                defect(
                        "'decoder': {'type': 'ByteLevel'",
                        "'decoder': {'type': 'WordPiece'",
                        "decoder of type 'WordPiece' is not supported"),
                defect(
                        "'decoder': {'type': 'ByteLevel'",
                        "'decoder': null, 'padding2': {'type': 'ByteLevel'",
                        "padding2 is not known to this version"),
                defect("'dropout': null", "'dropout': 0.1", "model.dropout is on"),
                defect("'continuing_subword_prefix': null", "'continuing_subword_prefix': '##'", "prefix is '##'"),
                defect("'end_of_word_suffix': null", "'end_of_word_suffix': '</w>'", "suffix is '</w>'"),
                defect("'unk_token': null", "'stochastic': true", "model.stochastic is not known to this version"),
                defect("'single_word': false", "'greedy': 1", "added_tokens[0].greedy is not known"),
                defect("'version': '1.0'", "'version': '2.0'", "version is '2.0'; supported is '1.0'"));
    }

    static Stream<Arguments> damage() {
        return Stream.of(
                defect("'in g'", "'in g', 'a b c'", "model.merges holds 'a b c'"),
                defect("'in g'", "'in g', ''", "model.merges holds ''"),
                defect("'in g'", "'in q'", "model.merges holds 'in' + 'q'"),
                defect("'in g'", "['in', 'g', '']", "should be the last element but is a string"),
                defect("'in g'", "['in']", "model.merges[9][1] should be a string but is at its end"),
                defect("'in g'", "7", "model.merges[9] should be an array but is a number"),
                defect("'padding'", "'truncation'", "truncation stands twice in its object"),
                defect("'he': 258", "'he': 257", "model.vocab gives id 257 to 'he' and to a token before it"),
                defect("'he': 258", "'he': -1", "model.vocab.he is -1 but should be a whole number from 0 to 1048575"),
                defect("'he': 258", "'he': 1.0", "model.vocab.he is 1.0 but should be a whole number"),
                defect("'he': 258", "'he': 1048576", "model.vocab.he is 1048576 but should be a whole number"),
                defect("'he': 258", "'he': 99999999999", "model.vocab.he is 99999999999 but should be a whole"),
                defect("'he': 258", "'he': '258'", "model.vocab.he should be a number but is a string"),
                defect("'he': 258", "'he': 258, 'he': 258", "model.vocab has 'he' twice"),
                defect("'he': 258", "'he\\udc00': 258", "has half a surrogate pair"),
                defect("'he': 258", "'he': 267", "'### End' would get id 267, which a token of model.vocab has"),
                defect("'content': '### End'", "'content': 5", "added_tokens[1].content should be a string but is a"),
                defect("'content': '### End'", "'x': null", "added_tokens has no id or no content (element 1"),
                defect("'### End'", "'\\ud800x'", "added_tokens[1].content has half a surrogate pair"),
                defect("'### End'", "'### Instruction:'", "'### Instruction:' is said to have id 268, but"),
                defect("'id': 267", "'id': 300", "'### End' is said to have id 300, but by its place"),
                defect("'id': 267", "'id': -300", "added_tokens[1].id is -300 but should be a whole number"),
                defect("'added_tokens': [", "'added_tokens': [7, ", "added_tokens[0] should be an object but is a"),
                defect(
                        "'fuse_unk': false",
                        "'fuse_unk': 'no'",
                        "model.fuse_unk should be true or false but is a string"),
                defect("'model': {", "'model': [{", "model should be an object but is an array"),
                defect("'type': 'NFC'", "'type': 4", "normalizer.type should be a string but is 4"),
                defect("{'type': 'NFC'}", "'NFC'", "normalizer should be an object or null but is \"NFC\""),
                defect("{'type': 'NFC'}", "{'type': 'Sequence'}", "normalizer.normalizers should be an array"),
                defect(
                        "'pre_tokenizer': {'type': 'ByteLevel', 'add_prefix_space': false",
                        "'pre_tokenizer': {'type': 'ByteLevel'",
                        "pre_tokenizer.add_prefix_space should be true or false but is missing"),
                defect("'version': '1.0'", "'version': '1.0', oops", "not readable as JSON"),
                defect("{'type': 'NFC'}", "[".repeat(100_000), "not readable as JSON"));
    }

    /** Single quotes stand for double ones in the two texts. */
    private static Arguments defect(String original, String replacement, String message) {
        return Arguments.of(original.replace('\'', '"'), replacement.replace('\'', '"'), message);
    }

    @ParameterizedTest(name = "{2}")
    @MethodSource({"unsupportedFeatures", "damage"})
    void defectOfTokenizerJson_isNamed(String original, String replacement, String message) throws IOException {
        assertThat(valid).contains(original);
        int at = valid.indexOf(original);
        write("tokenizer.json", valid.substring(0, at) + replacement + valid.substring(at + original.length()));

        assertRefused("tokenizer.json", message);
    }

    static Stream<Arguments> missingParts() {
        return Stream.of(
                Arguments.of("{}", "a model with vocab and merges is missing"),
                Arguments.of("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0}}}", "vocab and merges is missing"),
                Arguments.of("{\"model\":{\"vocab\":{},\"merges\":[]}}", "a model with vocab and merges is missing"),
                Arguments.of("{\"model\":{\"vocab\":{\"a\":0},\"merges\":[]}}", "a pre_tokenizer of type ByteLevel is"),
                Arguments.of(
                        "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[]},"
                                + "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}}",
                        "a decoder of type ByteLevel is missing"),
                Arguments.of(
                        "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[],\"unk_token\":\"a\"}}",
                        "model.unk_token is set"),
                Arguments.of(
                        "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[],\"byte_fallback\":true}}",
                        "model.byte_fallback"),
                Arguments.of("[]", "the file should be an object but is an array"),
                Arguments.of("", "not readable as JSON"));
    }

    @ParameterizedTest(name = "{1}")
    @MethodSource("missingParts")
    void tokenizerJsonThatLacksAPart_isRefused(String content, String message) throws IOException {
        write("tokenizer.json", content);

        assertRefused("tokenizer.json", message);
    }

    static Stream<Arguments> defectsBeside() {
        return Stream.of(
                Arguments.of("tokenizer_config.json", "[]", "the file should be an object but is an array"),
                Arguments.of("tokenizer_config.json", "{\"eos_token\":", "not readable as JSON"),
                Arguments.of("tokenizer_config.json", "{\"eos_token\":5}", "eos_token should be a token: a string, or"),
                Arguments.of(
                        "tokenizer_config.json",
                        "{\"eos_token\":{\"content\":5}}",
                        "eos_token.content should be a string of whole"),
                Arguments.of(
                        "tokenizer_config.json",
                        "{\"eos_token\":\"\\udc00\"}",
                        "eos_token should be a string of whole"),
                Arguments.of(
                        "tokenizer_config.json",
                        "{\"clean_up_tokenization_spaces\":\"yes\"}",
                        "clean_up_tokenization_spaces should be true or false but is \"yes\""),
                Arguments.of(
                        "tokenizer_config.json",
                        "{\"additional_special_tokens\":\"x\"}",
                        "additional_special_tokens should be an array but is \"x\""),
                Arguments.of(
                        "tokenizer_config.json", "{\"added_tokens_decoder\":[]}", "added_tokens_decoder should be an"),
                Arguments.of(
                        "tokenizer_config.json",
                        "{\"added_tokens_decoder\":{\"x\":{\"content\":\"y\"}}}",
                        "added_tokens_decoder.x has the id x, which should be a whole number"),
                Arguments.of(
                        "tokenizer_config.json",
                        "{\"added_tokens_decoder\":{\"270\":7}}",
                        "270 should be an object but is"),
                Arguments.of("special_tokens_map.json", "{\"pad_token\":true}", "pad_token should be a token"),
                Arguments.of("special_tokens_map.json", "nothing", "not readable as JSON"),
                Arguments.of(
                        "added_tokens.json", "{\"<x>\":1.5}", "'<x>' has the id 1.5, which should be a whole number"));
    }

    @ParameterizedTest(name = "{0}: {2}")
    @MethodSource("defectsBeside")
    void defectOfAFileBeside_isNamed(String file, String content, String message) throws IOException {
        write(file, content);

        assertRefused(file, message);
    }

    @Test
    void addedTokenOfTheConfigWithAnotherId_isRefused() throws IOException {
        write("tokenizer_config.json", "{\"added_tokens_decoder\":{\"300\":{\"content\":\"<x>\"}}}");

        assertRefused("tokenizer.json", "the added token '<x>' is said to have id 300, but by its place");
    }

    @Test
    void tokensThatMatchTheSameNormalizedText_areRefused() throws IOException {
        write(
                "tokenizer_config.json",
                "{\"added_tokens_decoder\":{\"270\":{\"content\":\"\\u00e9x\"},\"271\":{\"content\":\"e\\u0301x\"}}}");

        assertRefused("tokenizer.json", "the added tokens 270 and 271 are looked for by the same text");
    }

    @Test
    void addedTokensOfMillionsOfCharacters_areRefused() throws IOException {
        write("tokenizer_config.json", "{\"eos_token\":\"" + "x".repeat(1_100_000) + "\"}");

        assertRefused("tokenizer.json", "the added tokens have more than 1048576 characters together");
    }

    @Test
    void millionsOfMerges_areRefused() throws IOException {
        write("tokenizer.json", valid.replace("\"in g\"", "\"in g\"" + ",\"in g\"".repeat(1_100_000)));

        assertRefused("tokenizer.json", "model.merges has more than 1048576 merges");
    }

    @Test
    void missingTokenizer_isNamed() throws IOException {
        Files.delete(folder.resolve("tokenizer.json"));

        assertRefused("tokenizer.json", "no such file");
    }

    private void writeVocabulary(String vocab, String merges, String config) throws IOException {
        Files.delete(folder.resolve("tokenizer.json"));
        write("vocab.json", vocab);
        write("merges.txt", merges);
        write("tokenizer_config.json", config);
    }

    static Stream<Arguments> vocabularyDefects() {
        String gpt2 = "{\"tokenizer_class\":\"GPT2Tokenizer\"}";
        String vocab = "{\"a\":0,\"b\":1,\"ab\":2}";
        return Stream.of(
                Arguments.of(vocab, "a b", "{}", "vocab.json", "how text is cut into words for this vocabulary"),
                Arguments.of(vocab, "a b", "{\"tokenizer_class\":\"XTokenizer\"}", "vocab.json", "tokenizer_class"),
                Arguments.of(
                        vocab,
                        "a b",
                        "{\"tokenizer_class\":\"GPT2Tokenizer\",\"add_bos_token\":true}",
                        "tokenizer_config.json",
                        "puts tokens around every text"),
                Arguments.of("{\"a\":0,\"b\":0}", "a b", gpt2, "vocab.json", "the vocabulary gives id 0 to 'b'"),
                Arguments.of("[]", "a b", gpt2, "vocab.json", "should be an object"),
                Arguments.of(vocab, "#version: 0.2\na b\n\n", gpt2, "merges.txt", "the list holds ''"),
                Arguments.of(vocab, "a b c", gpt2, "merges.txt", "the list holds 'a b c'"),
                Arguments.of(vocab, "a c", gpt2, "merges.txt", "the list holds 'a' + 'c'"),
                Arguments.of(vocab, "b a", gpt2, "merges.txt", "the list holds 'b' + 'a'"),
                Arguments.of(vocab, "a b\n".repeat(1_100_000), gpt2, "merges.txt", "more than 1048576 merges"),
                Arguments.of(vocab, "a b\n".repeat(5_000_000), gpt2, "merges.txt", "more than the 16777216"));
    }

    @ParameterizedTest(name = "{3}: {4}")
    @MethodSource("vocabularyDefects")
    void defectOfVocabularyOrMerges_isNamed(String vocab, String merges, String config, String file, String message)
            throws IOException {
        writeVocabulary(vocab, merges, config);

        assertRefused(file, message);
    }

    @Test
    void mergesWithWindowsLineEnds_areRead() throws IOException {
        writeVocabulary(
                "{\"a\":0,\"b\":1,\"ab\":2}",
                "#version: 0.2\r\na b\r\n",
                "{\"tokenizer_class\":\"GPT2Tokenizer\",\"eos_token\":\"a\",\"bos_token\":\"a\",\"unk_token\":\"a\"}");

        assertThat(Tokenizer.load(folder).encodeAsText("ab")).containsExactly(2);
    }

    @Test
    void textThatIsNotUtf8_isRefused() throws IOException {
        Files.write(folder.resolve("tokenizer.json"), valid.getBytes(StandardCharsets.ISO_8859_1));

        assertRefused("tokenizer.json", "not valid UTF-8");
    }

    @Test
    void fileOfManyMegabytes_isRefusedUnread() throws IOException {
        try (RandomAccessFile file =
                new RandomAccessFile(folder.resolve("tokenizer.json").toFile(), "rw")) {
            file.setLength(1L << 40);
        }

        assertRefused("tokenizer.json", "1099511627776 bytes, more than the 67108864");
    }

    @Test
    void fileCutOffAnywhere_isRefused() throws IOException {
        for (int length = 0; length < valid.length(); length += 97) {
            write("tokenizer.json", valid.substring(0, length));
            assertRefused("tokenizer.json", "damaged");
        }
    }

    @Test
    void textAfterTheEnd_isRefused() throws IOException {
        write("tokenizer.json", valid + valid);

        assertRefused("tokenizer.json", "not readable as JSON");
    }

    private void write(String name, String content) throws IOException {
        Files.writeString(folder.resolve(name), content);
    }

    private void assertRefused(String file, String message) {
        assertThatThrownBy(() -> Tokenizer.load(folder))
                .isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith(folder.resolve(file).toString())
                .hasMessageContaining(message);
    }
}
