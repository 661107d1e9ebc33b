package org.dolly4j;

import java.util.Optional;

/**
 * A piece of an answer, as it comes. The pieces of a sequence joined are its {@link Generation#text()}.
 *
 * @param sequence index of the answer it belongs to, 0 if the request asks for one
 * @param text characters that no later token changes; may be empty in the last piece of a sequence only
 * @param finishReason why the answer ends; present in the last piece of each sequence only
 */
public record TextPiece(int sequence, String text, Optional<FinishReason> finishReason) {}
