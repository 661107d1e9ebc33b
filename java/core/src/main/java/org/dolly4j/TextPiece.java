package org.dolly4j;

import java.time.Duration;
import java.util.Optional;
import java.util.OptionalInt;
import org.dolly4j.sampling.TokenLogprobs;

/**
 * A piece of an answer, as it comes: one for each token, and one for an answer that ends without one. The texts of a
 * sequence's pieces joined are its {@link Generation#text()}.
 *
 * @param sequence index of the answer it belongs to, 0 if the request asks for one
 * @param text characters that no later token changes; empty where the token shows nothing yet, as one that is a part of
 *     a character, or does not belong to the text, as the end key
 * @param tokenId the token; absent where an answer was cut short, as by a deadline
 * @param logprobs how likely the model found the token, if the request asks for that
 * @param time when the token was drawn, or the request ended, since the submission
 * @param finishReason why the answer ends; present in the last piece of each sequence only
 * @param result all of the request, with timings and numbers of tokens; present in the last piece of all only
 */
public record TextPiece(
        int sequence,
        String text,
        OptionalInt tokenId,
        Optional<TokenLogprobs> logprobs,
        Duration time,
        Optional<FinishReason> finishReason,
        Optional<GenerationResult> result) {
    TextPiece withResult(GenerationResult all) {
        return new TextPiece(sequence, text, tokenId, logprobs, time, finishReason, Optional.of(all));
    }
}
