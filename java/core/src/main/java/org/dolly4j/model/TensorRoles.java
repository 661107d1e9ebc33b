package org.dolly4j.model;

import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * What tensors of a checkpoint are to its family, but for its weights.
 *
 * @param buffers names of masks and rotary frequencies, which older versions stored beside the weights
 * @param tiedHead name of the head, if the checkpoint holds the embedding also under it and config.json ties the two
 * @param unknown names of tensors that the family does not have, sorted
 */
public record TensorRoles(List<String> buffers, Optional<String> tiedHead, List<String> unknown) {
    /** Copies the lists. */
    public TensorRoles {
        buffers = List.copyOf(buffers);
        unknown = List.copyOf(unknown);
    }

    /** Names that Hugging Face leaves out when it saves the model, since it does without. */
    public Set<String> redundant() {
        Set<String> redundant = new HashSet<>(buffers);
        tiedHead.ifPresent(redundant::add);
        return redundant;
    }
}
