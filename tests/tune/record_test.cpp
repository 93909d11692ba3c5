// Records as text, and sets of them.
#include "schedules/tune/record.h"

#include <gtest/gtest.h>

#include "compiler/pipeline.h"
#include "compiler/recipe/group.h"
#include "schedules/library.h"
#include "schedules/tune/record_set.h"
#include "schedules/tune/signature.h"
#include "tests/support/golden.h"
#include "tests/support/message_of.h"
#include "tests/support/test_folder.h"
#include "tests/tune/tune_support.h"

namespace emulsion::test {
namespace {

constexpr const char* kLine =
    "machine=TestMachine-7-3-l1.32-l2.512-l3.4096-fma.16 isa=avx2 threads=2 recipe=matmul@1 "
    "tiling=\"kw=16 tn=4 chains=1\" default_us=150 tuned_us=100 spread=0.01 group=batch=4 graph x";

TEST(Records, PrintAndParseBack) {
    TunedRecord record = some_record("batch=4 graph x", 1.5);
    EXPECT_EQ(to_string(record), kLine);
    EXPECT_EQ(to_string(parse_record(kLine)), kLine);
    record.is_locked = true;
    const TunedRecord again = parse_record(to_string(record));
    EXPECT_TRUE(again.is_locked);
    EXPECT_EQ(again.machine, some_machine());
    EXPECT_EQ(again.tiling, record.tiling);
    EXPECT_EQ(again.key(), record.key());
    EXPECT_DOUBLE_EQ(again.gain(), 1.5);
}

constexpr const char* kNode =
    "batch=4 conv2d(f32[n,32,14,14], f32[32,32,3,3]) {stride=[1,1], dilation=[1,1], "
    "padding=[1,1,1,1]} : f32[n,32,14,14] from relu, parameter for add, relu";
constexpr const char* kMachine =
    "machine=TestMachine-7-3-l1.32-l2.512-l3.4096-fma.16 isa=avx2 threads=2 ";

TunedRecord some_choice(const std::string& word, double gain, const std::string& node = kNode) {
    TunedRecord record = some_record(node, gain);
    record.recipe.clear();
    record.tiling = {};
    record.choice = word;
    return record;
}

TEST(Records, OfChoicesPrintAndParseBack) {
    TunedRecord record = some_choice("direct", 1.5);
    const std::string line = std::string(kMachine) +
                             "choice=direct default_us=150 tuned_us=100 spread=0.01 node=" + kNode;
    EXPECT_EQ(to_string(record), line);
    EXPECT_EQ(to_string(parse_record(line)), line);
    record.is_locked = true;
    const TunedRecord again = parse_record(to_string(record));
    EXPECT_TRUE(again.is_locked);
    EXPECT_EQ(again.choice, "direct");
    EXPECT_EQ(again.key(), record.key());
    // Words of one decision exclude each other, those of others and groups do not.
    EXPECT_EQ(some_choice("winograd4", 2).key(), record.key());
    EXPECT_NE(some_choice("join", 2).key(), record.key());
    EXPECT_NE(some_record(kNode, 2).key(), record.key());
}

TEST(Records, OfUnknownChoicesAreNamedByLineAndTheRestIsUsed) {
    const ReadRecords read =
        parse_records("emulsion records 1\n" + std::string(kMachine) +
                          "choice=magic default_us=2 tuned_us=1 spread=0 node=" + kNode + "\n" +
                          to_string(some_choice("direct", 1.5)) + "\n" + std::string(kMachine) +
                          "choice=direct default_us=2 tuned_us=1 spread=0 group=" + kNode + "\n",
                      "a.records");
    ASSERT_EQ(read.records.size(), 1u);
    EXPECT_EQ(read.records[0].origin, "a.records:3");
    ASSERT_EQ(read.faults.size(), 2u);
    EXPECT_EQ(
        to_string(read.faults[0]),
        "a.records:2: error[record]: 'choice' is magic, but must be one of direct, winograd2, "
        "winograd4, join, pass, store, recompute\n  fix: write it as machine=… isa=… threads=… "
        "choice=… default_us=… tuned_us=… spread=… node=…");
    EXPECT_EQ(read.faults[1].where.line, 4);
}

TEST(Records, OfChoicesThatANodeDoesNotHaveArePruned) {
    const RecipeLibrary library = make_library();
    const auto pruned = [&](TunedRecord record) -> std::string {
        RecordSet set;
        record.origin = "a.records:7";
        set.add(record);
        const std::vector<Diagnostic> dropped = prune(set, library);
        if (dropped.empty()) return set.size() == 1 ? "kept" : "lost";
        EXPECT_EQ(dropped[0].where.line, 7);
        return dropped[0].message;
    };
    const std::string strided =
        "batch=4 conv2d(f32[n,32,14,14], f32[32,32,3,3]) {stride=[2,2], dilation=[1,1], "
        "padding=[1,1,1,1]} : f32[n,32,7,7] from relu, parameter";
    const std::string relu = "batch=4 relu(f32[n,8,5,5]) : f32[n,8,5,5] from conv2d for max_pool";
    const std::string pool =
        "batch=4 max_pool(f32[n,8,6,6]) {window=[2,2], stride=[2,2], "
        "padding=[0,0,0,0]} : f32[n,8,3,3], u8[n,8,3,3] from relu for flatten";
    for (const char* word : {"direct", "winograd2", "winograd4", "join", "pass"})
        EXPECT_EQ(pruned(some_choice(word, 2)), "kept") << word;
    EXPECT_EQ(pruned(some_choice("store", 2)), "conv2d cannot be 'store' here");
    EXPECT_EQ(pruned(some_choice("winograd4", 2, strided)),
              "conv2d cannot be 'winograd4' here, it is direct");
    EXPECT_EQ(pruned(some_choice("winograd4", 2, relu)), "relu cannot be 'winograd4' here");
    EXPECT_EQ(pruned(some_choice("recompute", 2, relu)), "kept");
    EXPECT_EQ(pruned(some_choice("join", 2, pool)), "kept");
    EXPECT_EQ(pruned(some_choice("recompute", 2, pool)), "max_pool cannot be 'recompute' here");
    EXPECT_EQ(pruned(some_choice("direct", 1)), "it is no faster than the default");
    TunedRecord locked = some_choice("direct", 1);
    locked.is_locked = true;
    EXPECT_EQ(pruned(locked), "kept");
    EXPECT_EQ(pruned(some_choice("direct", 2, "batch=4 nonsense")),
              "its node is not of this version: it is not as a plan names nodes");
    EXPECT_TRUE(pruned(some_choice("join", 2, "batch=4 magic(f32[4]) : f32[4]"))
                    .starts_with("its node is not of this version: "));
}

TEST(Records, OfThisMachineParseBack) {
    EXPECT_EQ(parse_machine_class(to_string(this_machine())), this_machine());
    EXPECT_GE(this_machine().fma, 1);
}

TEST(Records, MultiplyAddsOfKnownMachinesAreNotMeasured) {
    MachineClass machine = some_machine();
    EXPECT_EQ(known_multiply_adds(machine), 0);
    machine.vendor = "GenuineIntel", machine.family = 6, machine.model = 106;
    EXPECT_EQ(known_multiply_adds(machine), 32);
    machine.model = 85;  // some have one unit, some two
    EXPECT_EQ(known_multiply_adds(machine), 0);
    machine.vendor = "AuthenticAMD", machine.family = 25, machine.model = 17;
    EXPECT_EQ(known_multiply_adds(machine), 16);
    const int known = known_multiply_adds(this_machine());
    if (native_isa().name == std::string("avx512") && known != 0) {
        EXPECT_EQ(this_machine().fma, known);
    }
}

TEST(Records, MachineClassesAreKnownByTheirBeginning) {
    MachineClass one = some_machine(), other = some_machine();
    one.model = 10;
    other.fma = 8;
    const std::set<MachineClass> known = {some_machine(), one, other};
    EXPECT_EQ(machine_class_named("TestMachine-7-10", known), one);
    EXPECT_EQ(machine_class_named(to_string(other), known), other);
    MachineClass unheard = some_machine();
    unheard.vendor = "Unheard";
    EXPECT_EQ(machine_class_named(to_string(unheard), known), unheard);
    EXPECT_EQ(message_of([&] { machine_class_named("TestMachine-7-3", known); }),
              "error[machine]: 'TestMachine-7-3' is the beginning of 2 machine classes\n"
              "  fix: write one of them whole: TestMachine-7-3-l1.32-l2.512-l3.4096-fma.8, "
              "TestMachine-7-3-l1.32-l2.512-l3.4096-fma.16");
    EXPECT_EQ(message_of([&] { machine_class_named("TestMachine-7-1", {one}); }),
              "error[machine]: no record is of a machine class that begins with 'TestMachine-7-1'\n"
              "  fix: the records are of TestMachine-7-10-l1.32-l2.512-l3.4096-fma.16");
    EXPECT_EQ(message_of([&] { machine_class_named("", {}); }),
              "error[machine]: no record is of a machine class that begins with ''\n"
              "  fix: name records, or leave the class out");
}

TEST(Records, BrokenLinesAreNamedAndTheRestIsUsed) {
    std::string other(kLine);
    other.replace(other.find("threads=2"), 9, "threads=0");
    const std::string text = std::string("# tuned by hand\nemulsion records 1\n\n") + kLine + "\n" +
                             other + "\nmachine=x\nnonsense\n" + kLine + "\r\n";
    const ReadRecords read = parse_records(text, "a.records");
    ASSERT_EQ(read.records.size(), 2u);
    EXPECT_EQ(read.records[0].origin, "a.records:4");
    EXPECT_EQ(read.records[1].origin, "a.records:8");
    ASSERT_EQ(read.faults.size(), 3u);
    EXPECT_EQ(to_string(read.faults[0]),
              "a.records:5: error[record]: 'threads' is 0, but must be a whole number from 1 on\n"
              "  fix: write it as machine=… isa=… threads=… recipe=NAME@VERSION tiling=\"…\" "
              "default_us=… tuned_us=… spread=… group=…");
    EXPECT_EQ(to_string(read.faults[1]),
              "a.records:6: error[record]: 'x' is no machine class\n"
              "  fix: write it as VENDOR-FAMILY-MODEL-l1.KIB-l2.KIB-l3.KIB-fma.COUNT");
    EXPECT_EQ(read.faults[2].where.line, 7);
}

TEST(Records, FieldsOfAnotherFormAreNamed) {
    const auto refused = [](std::string_view field, std::string_view other) {
        std::string line(kLine);
        const size_t begin = line.find(field);
        line.replace(begin, line.find(' ', begin) - begin, other);
        const std::string message = message_of([&] { parse_record(line); });
        return message.substr(0, message.find('\n'));
    };
    EXPECT_EQ(refused("recipe=", "recipe=matmul"),
              "error[record]: 'recipe' is matmul, but must be NAME@VERSION");
    EXPECT_EQ(refused("recipe=", "recipe=@1"),
              "error[record]: 'recipe' is @1, but must be NAME@VERSION");
    EXPECT_EQ(refused("default_us=", "default_us=0"),
              "error[record]: 'default_us' is 0, but must be a number above 0");
    EXPECT_EQ(refused("spread=", "spread=-1"),
              "error[record]: 'spread' is -1, but must be a number from 0 on");
    EXPECT_EQ(refused("tuned_us=", "tuned_us="), "error[record]: 'tuned_us' has no value");
}

TEST(Records, EveryCutLineIsRefusedOrWhole) {
    const std::string line = kLine;
    for (size_t length = 0; length < line.size(); length++) {
        const std::string cut = line.substr(0, length);
        try {
            EXPECT_EQ(to_string(parse_record(cut)), cut);
        } catch (const Error&) {
        }
    }
}

TEST(Records, OfAnotherVersionAreRefused) {
    EXPECT_EQ(message_of([] { parse_records("emulsion records 2\n", "a.records"); }),
              "error[record]: 'a.records' is no file of records of this version: its first line is "
              "not 'emulsion records 1'\n"
              "  fix: name a file that `emulsion tune` or `emulsion records` has written");
}

TEST(Records, ArePrintedSortedWhateverTheirOrder) {
    const TunedRecord a = some_record("batch=1 a", 2), b = some_record("batch=1 b", 2);
    EXPECT_EQ(print_records({a, b}), print_records({b, a}));
    EXPECT_LT(print_records({b, a}).find("batch=1 a"), print_records({b, a}).find("batch=1 b"));
}

TEST(RecordSets, KeepTheBetterGainAndWhatIsLocked) {
    RecordSet set;
    set.add(some_record("g", 1.2));
    set.add(some_record("g", 1.5));
    set.add(some_record("g", 1.3));
    ASSERT_EQ(set.size(), 1u);
    EXPECT_DOUBLE_EQ(set.records()[0].gain(), 1.5);
    TunedRecord locked = some_record("g", 1.1);
    locked.is_locked = true;
    set.add(locked);
    set.add(some_record("g", 9));
    set.replace(some_record("g", 9));
    EXPECT_TRUE(set.records()[0].is_locked);
    EXPECT_DOUBLE_EQ(set.records()[0].gain(), 1.1);
    TunedRecord other = some_record("g", 2);
    other.threads = 4;
    set.add(other);
    EXPECT_EQ(set.size(), 2u);
}

TEST(RecordSets, AreSavedAndReadBack) {
    const TestFolder folder;
    RecordSet set;
    set.add(some_record("batch=1 a", 2));
    set.add(some_record("batch=1 b", 3));
    set.save(folder / "a.records");
    std::vector<Diagnostic> faults;
    EXPECT_EQ(print_records(RecordSet::read(folder / "a.records", faults).records()),
              print_records(set.records()));
    EXPECT_TRUE(faults.empty());
    EXPECT_EQ(folder.names(), std::vector<std::string>{"a.records"});
    EXPECT_NE(message_of([&] { RecordSet::read(folder / "none", faults); }).find("error[record]"),
              std::string::npos);
}

TEST(RecordSets, AnswerForTheirMachineAndTheNearestThreads) {
    const RecipeLibrary library = make_library();
    const Group group = dense_kernel(library, isa_avx2()).group;
    RecordSet set;
    for (const int threads : {1, 4, 16}) {
        TunedRecord record = some_record(group.signature(), 2);
        record.threads = threads;
        record.tiling = parse_tiling("kw=16 tn=" + std::to_string(threads) + " chains=1");
        set.add(record);
    }
    const MachineRecords records(set, some_machine());
    const auto tn = [&](int threads) {
        return records.find(group, isa_avx2(), threads)->tiling.at("tn");
    };
    EXPECT_EQ(tn(1), 1);
    EXPECT_EQ(tn(2), 1);  // as near as 4
    EXPECT_EQ(tn(3), 4);
    EXPECT_EQ(tn(64), 16);
    EXPECT_FALSE(records.find(group, isa_avx512(), 1));
    MachineClass other = some_machine();
    other.fma *= 2;
    EXPECT_FALSE(MachineRecords(set, other).find(group, isa_avx2(), 1));
}

TEST(RecordSets, PruneWhatThisBuildCannotUse) {
    const RecipeLibrary library = make_library();
    const std::string signature = dense_kernel(library, isa_avx2()).group.signature();
    const auto pruned = [&](const std::function<void(TunedRecord&)>& change) {
        RecordSet set;
        TunedRecord record = some_record(signature, 2);
        record.origin = "a.records:2";
        change(record);
        set.add(record);
        const std::vector<Diagnostic> dropped = prune(set, library);
        return dropped.empty() ? fmt::format("version {}", set.records()[0].version)
                               : to_string(dropped[0]);
    };
    EXPECT_EQ(pruned([](TunedRecord&) {}), "version 1");
    EXPECT_EQ(pruned([](TunedRecord& r) { r.version = 9; }), "version 1");
    EXPECT_EQ(pruned([](TunedRecord& r) { r.recipe = "magic"; }),
              "a.records:2: error[record]: there is no recipe 'magic'\n"
              "  fix: remove it with `emulsion records prune`, and tune anew");
    EXPECT_EQ(pruned([](TunedRecord& r) { r.default_us = r.tuned_us; }),
              "a.records:2: error[record]: it is no faster than the default\n"
              "  fix: remove it with `emulsion records prune`, and tune anew");
    EXPECT_NE(pruned([](TunedRecord& r) {
                  r.tiling = parse_tiling("kw=15 tn=4 chains=1");
              }).find("matmul cannot run with 'kw=15 tn=4 chains=1': kw=15, but it is one of"),
              std::string::npos);
    EXPECT_NE(pruned([](TunedRecord& r) {
                  r.signature = "batch=4 graph";
              }).find("its group is not of this version"),
              std::string::npos);
}

TEST(Signatures, BatchesAreInBounds) {
    const auto refused = [](const std::string& batch) {
        return message_of([&] { parse_signature("batch=" + batch + " graph group { }"); });
    };
    for (const char* batch : {"0", "-3", "4294967297"})
        EXPECT_NE(refused(batch).find(fmt::format("the batch is {}, but must be 1 to ", batch)),
                  std::string::npos)
            << refused(batch);
}

TEST(Signatures, OfWholeNetworksParseBack) {
    const RecipeLibrary library = make_library();
    for (const char* name : {"lenet", "resnet20"}) {
        const Network network = golden_network(name);
        for (const bool training : {true, false}) {
            const Plan plan = plan_of(network, library, {}, training);
            for (const PlannedKernel& kernel : plan.variants[0].kernels) {
                const Group again = parse_signature(kernel.group.signature());
                EXPECT_EQ(again.signature(), kernel.group.signature());
                EXPECT_EQ(again.anchor, kernel.group.anchor) << kernel.group.signature();
            }
        }
    }
}

TEST(Signatures, OfChannelsAmongOthersParseBack) {
    const RecipeLibrary library = make_library();
    Group group = dense_kernel(library, isa_avx2()).group;
    group.pitches = {32, 0, 48};
    const Group again = parse_signature(group.signature());
    EXPECT_EQ(again.pitches, group.pitches);
    EXPECT_EQ(again.signature(), group.signature());
    for (const std::vector<int64_t>& wrong : {std::vector<int64_t>{32, 0},
                                              {32, 0, 48, 0},
                                              {23, 0, 48},
                                              {32, 0, 31},
                                              {32, 64, 48},
                                              {-1, 0, 48}}) {
        group.pitches = wrong;
        EXPECT_NE(message_of([&] {
                      parse_signature(group.signature());
                  }).find("the pitches are not those of the group's buffers"),
                  std::string::npos)
            << group.signature();
    }
}

TEST(Signatures, EndWithTheirGroup) {
    const std::string signature = dense_kernel(make_library(), isa_avx2()).group.signature();
    EXPECT_NE(message_of([&] {
                  parse_signature(signature + " more");
              }).find("text stands behind the group"),
              std::string::npos);
}

}  // namespace
}  // namespace emulsion::test
