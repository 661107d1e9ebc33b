package org.dolly4j.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HubRepositoryTest {
    @ParameterizedTest
    @ValueSource(strings = {"databricks/dolly-v2-3b", "gpt2", "a/b", "_x/y_", "Foo-BAR_foo.bar123"})
    void id_hasTheHubsForm(String id) {
        assertThat(HubRepository.isId(id)).isTrue();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "/",
                "a/",
                "/a",
                "a/b/c",
                "./a",
                "../a",
                "a/..",
                "a/.b",
                "-a/b",
                "a/b-",
                "a--b/c",
                "a..b",
                "a/b.git",
                "a b",
                "a\\b",
                "a\0b",
                "~/a",
                "a/b\n",
                "\u00e4/b"
            })
    void whatIsNoId_isNotTakenForOne(String text) {
        assertThat(HubRepository.isId(text)).isFalse();
        assertThatThrownBy(() -> HubRepository.of(text))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("such as databricks/dolly-v2-3b");
    }

    @Test
    void longId_isNone() {
        assertThat(HubRepository.isId("a".repeat(96))).isTrue();
        assertThat(HubRepository.isId("a".repeat(97))).isFalse();
    }

    @ParameterizedTest
    @ValueSource(strings = {"main", "v1.0", "refs/pr/12", "feature/a+b", "df8a1b9", "_x"})
    void revision_isABranchATagOrACommit(String revision) {
        assertThat(new HubRepository("a/b", revision).revision()).isEqualTo(revision);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"", "..", "a/../b", "/a", "a/", "a//b", ".a", "a/.b", "a\\b", "a b", "a\0", "a?b", "x.lock"})
    void revisionThatLeadsElsewhere_isRefused(String revision) {
        assertThatThrownBy(() -> new HubRepository("a/b", revision))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("is no revision");
    }

    @Test
    void folderName_isThatOfHuggingfaceHub() {
        assertThat(HubRepository.of("databricks/dolly-v2-3b").folderName())
                .isEqualTo("models--databricks--dolly-v2-3b");
    }
}
