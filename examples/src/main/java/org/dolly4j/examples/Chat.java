package org.dolly4j.examples;

import java.util.ArrayList;
import java.util.List;
import org.dolly4j.Dolly;
import org.dolly4j.GenerationRequest;
import org.dolly4j.prompt.Conversation;
import org.dolly4j.prompt.Conversation.Role;
import org.dolly4j.prompt.Conversation.Turn;
import org.dolly4j.sampling.SamplingOptions;

/** Keeps a conversation: earlier turns are the context of the next question, the oldest left out when it is full. */
public final class Chat {
    private Chat() {}

    public static void main(String[] arguments) {
        List<Turn> turns = new ArrayList<>();
        try (Dolly dolly = Dolly.demo()) {
            for (String question : List.of("Nigeria: what is its capital?", "Name the antonym of up.")) {
                turns.add(new Turn(Role.USER, question));
                GenerationRequest request = GenerationRequest.forConversation(new Conversation(turns))
                        .sampling(SamplingOptions.greedy())
                        .maxNewTokens(64)
                        .build();
                String answer = dolly.generate(request).text();
                turns.add(new Turn(Role.ASSISTANT, answer));
                System.out.println("> " + question);
                System.out.println(answer);
            }
        }
    }
}
