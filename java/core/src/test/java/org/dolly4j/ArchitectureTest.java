package org.dolly4j;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import java.util.Arrays;
import java.util.stream.Stream;

/** The arrows between the packages: which may use which. */
@AnalyzeClasses(packages = "org.dolly4j", importOptions = ImportOption.DoNotIncludeTests.class)
class ArchitectureTest {
    private static final String ROOT = "org.dolly4j";
    private static final DescribedPredicate<JavaClass> OUTSIDE =
            DescribedPredicate.not(resideInAPackage(ROOT + "..")).as("outside of dolly4j");

    /** Exceptions stand in the root package, and whoever meets an error may throw them. */
    private static final DescribedPredicate<JavaClass> EXCEPTIONS =
            JavaClass.Predicates.assignableTo(DollyException.class).as("exceptions");

    private static ArchRule mayUseOnly(String name, String... others) {
        String[] packages = Stream.concat(Stream.of(name), Arrays.stream(others))
                .map(one -> ROOT + "." + one + "..")
                .toArray(String[]::new);
        return classes()
                .that()
                .resideInAPackage(ROOT + "." + name + "..")
                .should()
                .onlyDependOnClassesThat(OUTSIDE.or(EXCEPTIONS).or(resideInAnyPackage(packages)));
    }

    @ArchTest
    static final ArchRule promptIsALeaf = mayUseOnly("prompt");

    @ArchTest
    static final ArchRule tokenizerIsALeaf = mayUseOnly("tokenizer");

    @ArchTest
    static final ArchRule checkpointIsALeaf = mayUseOnly("checkpoint");

    @ArchTest
    static final ArchRule samplingIsALeaf = mayUseOnly("sampling");

    @ArchTest
    static final ArchRule hubIsALeaf = mayUseOnly("hub");

    @ArchTest
    static final ArchRule modelUsesCheckpoint = mayUseOnly("model", "checkpoint");

    @ArchTest
    static final ArchRule runtimeUsesModelAndCheckpoint = mayUseOnly("runtime", "model", "checkpoint");

    @ArchTest
    static final ArchRule engineUsesSamplingAndRuntime = mayUseOnly("engine", "sampling", "runtime");

    @ArchTest
    static final ArchRule facadeIsUsedByNoPackageBelow = noClasses()
            .that()
            .resideOutsideOfPackages(ROOT, ROOT + ".check..", ROOT + ".micrometer..")
            .should()
            .dependOnClassesThat(resideInAPackage(ROOT).and(DescribedPredicate.not(EXCEPTIONS)));

    @ArchTest
    static final ArchRule checkIsUsedByNone = noClasses()
            .that()
            .resideOutsideOfPackage(ROOT + ".check..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage(ROOT + ".check..");

    /** Micrometer is an optional dependency: without it on the class path nothing else may miss it. */
    @ArchTest
    static final ArchRule micrometerIsKnownToItsPackageAlone = noClasses()
            .that()
            .resideOutsideOfPackage(ROOT + ".micrometer..")
            .should()
            .dependOnClassesThat(resideInAnyPackage("io.micrometer..", ROOT + ".micrometer.."));

    /** The module jdk.jfr may be missing: the classes that need it are loaded behind a question for it. */
    @ArchTest
    static final ArchRule flightRecorderIsKnownToItsEventsAlone = noClasses()
            .that()
            .haveNameNotMatching(".*\\.(FlightRecorderEvents|StepEvent|RequestEvent)")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("jdk.jfr..");

    @ArchTest
    static final ArchRule nativeBindingStaysInRuntime = noClasses()
            .that()
            .resideOutsideOfPackage(ROOT + ".runtime..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("org.bytedeco..");
}
