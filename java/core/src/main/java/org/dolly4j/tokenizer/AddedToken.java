package org.dolly4j.tokenizer;

/**
 * A token that is cut out of the text before anything else is done to it, as {@code tokenizers.AddedToken}.
 *
 * @param id its id
 * @param content its text, not empty
 * @param special whether {@code skipSpecialTokens} leaves it out and {@link Tokenizer#encodeAsText} takes it as text
 * @param singleWord whether it is left alone where it touches a word character
 * @param lstrip whether it takes the white space before it along
 * @param rstrip whether it takes the white space after it along
 * @param normalized whether it is looked for, in its normal form, in the normalised text instead of the text as given
 */
public record AddedToken(
        int id,
        String content,
        boolean special,
        boolean singleWord,
        boolean lstrip,
        boolean rstrip,
        boolean normalized) {}
