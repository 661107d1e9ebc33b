package org.dolly4j.runtime;

import org.bytedeco.javacpp.annotation.Platform;
import org.bytedeco.javacpp.annotation.Properties;
import org.bytedeco.javacpp.tools.Info;
import org.bytedeco.javacpp.tools.InfoMap;
import org.bytedeco.javacpp.tools.InfoMapper;

/** Tells JavaCPP how dolly4j.h becomes {@link NativeApi} and the struct classes beside it. */
@Properties(
        value = @Platform(include = "dolly4j.h", link = "dolly4j", library = "jnidolly4j"),
        target = "org.dolly4j.runtime",
        global = "org.dolly4j.runtime.NativeApi")
public class NativeConfig implements InfoMapper {
    @Override
    public void map(InfoMap infoMap) {
        infoMap.put(new Info("D4J_API").cppTypes().annotations())
                .put(new Info("d4j_model").pointerTypes("ModelHandle"))
                .put(new Info("d4j_session").pointerTypes("SessionHandle"))
                .put(new Info("d4j_decoder_spec").pointerTypes("NativeSpec"))
                .put(new Info("d4j_model_options").pointerTypes("NativeModelOptions"))
                .put(new Info("d4j_session_options").pointerTypes("NativeSessionOptions"))
                .put(new Info("d4j_rows").pointerTypes("NativeRows"))
                .put(new Info("d4j_memory").pointerTypes("NativeMemory"))
                .put(new Info("d4j_step").pointerTypes("NativeStep"))
                .put(new Info("d4j_build_info").pointerTypes("NativeBuildInfo"));
    }
}
