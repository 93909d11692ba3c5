// --device of both programs, over the fake library, whose devices have memory of their own: what is
// not carried there and back is missed.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "runtime/support/path.h"
#include "tests/support/fake_library.h"
#include "tests/support/run_program.h"

namespace emulsion {
namespace {

constexpr const char* kFixMissing =
    "\n  fix: --list-devices shows what there is; --device cpu runs on the processor\n";

class DevicePrograms : public testing::Test {
  protected:
    void SetUp() override {
        unsetenv("EMULSION_NO_DEVICE");
        use({"First fake", "Second fake"});
        write_easy_set(data_.path(), /*is_test=*/false, 50, 4, 4, 3);
        write_easy_set(data_.path(), /*is_test=*/true, 20, 4, 4, 3);
    }
    void TearDown() override { unsetenv("EMULSION_NO_DEVICE"); }

    static void use(std::vector<std::string> devices, bool has_variant = true, int software = 0) {
        FakeNetwork network;
        network.software_devices = software;
        network.has_device_variant = has_variant;
        network.devices = std::move(devices);
        use_fake_network(network);
    }

    // A run in the folder `run` of runs_.
    ProgramResult train(const std::string& run, std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(),
                         {"--data", data_.path(), "--checkpoint", runs_ / run, "--quiet"});
        return run_fake_train(std::move(arguments));
    }

    // Names and texts of the run's files.
    // All but the logs, which tell of times.
    std::map<std::string, std::string> files(const std::string& run) {
        std::map<std::string, std::string> texts;
        for (const auto& entry : std::filesystem::directory_iterator(runs_ / run)) {
            const std::string name = entry.path().filename();
            if (!name.starts_with("log.")) texts[name] = read_text(entry.path());
        }
        return texts;
    }

    TestFolder data_, runs_;
};

TEST_F(DevicePrograms, ListDevices) {
    const ProgramResult result = run_fake_train({"--list-devices"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(result.out.find("\nopencl:0  1.0 MiB  First fake\n"
                              "opencl:1  1.0 MiB  Second fake\n"),
              std::string::npos)
        << result.out;
    EXPECT_EQ(result.out.find("--device   memory  device\ncpu                the processor, "), 0u)
        << result.out;
    EXPECT_EQ(run_fake_infer({"--list-devices"}).out, result.out);
    const auto json = nlohmann::json::parse(run_fake_infer({"--list-devices", "--json"}).out);
    ASSERT_EQ(json["devices"].size(), 3u);
    EXPECT_EQ(json["devices"][0]["device"], "cpu");
    EXPECT_EQ(json["devices"][2]["device"], "opencl:1");
    EXPECT_EQ(json["devices"][2]["name"], "Second fake");
    EXPECT_EQ(json["devices"][2]["memory_bytes"], 1 << 20);
    EXPECT_EQ(json["devices"][2]["software"], false);
}

// auto says why it leaves software alone; gpu takes it where nothing else is.
TEST_F(DevicePrograms, SoftwareIsChosenLast) {
    const auto device = [&](const char* word) {
        const std::string text =
            run_fake_train({"--data", data_.path(), "--dry-run", "--device", word}).out;
        const size_t begin = text.find("\ndevice     ") + 12;
        return text.substr(begin, text.find('\n', begin) - begin);
    };
    use({"First fake", "Second fake"}, /*has_variant=*/true, /*software=*/1);
    EXPECT_EQ(device("gpu"), "opencl:1, Second fake");
    EXPECT_EQ(device("auto"), "opencl:1, Second fake");
    EXPECT_EQ(device("opencl"), "opencl:0, First fake");
    EXPECT_NE(run_fake_train({"--list-devices"}).out.find("First fake, software\n"),
              std::string::npos);
    const auto json = nlohmann::json::parse(run_fake_infer({"--list-devices", "--json"}).out);
    EXPECT_EQ(json["devices"][1]["software"], true);
    use({"First fake", "Second fake"}, /*has_variant=*/true, /*software=*/2);
    EXPECT_EQ(device("gpu"), "opencl:0, First fake");
    EXPECT_EQ(device("auto"), "cpu, as there is no device but software (opencl:0)");
}

TEST_F(DevicePrograms, ListsWhyThereIsNone) {
    const auto last_line = [] {
        const ProgramResult result = run_fake_train({"--list-devices"});
        EXPECT_EQ(result.exit_code, 0) << result.err;
        return result.out.substr(result.out.rfind('\n', result.out.size() - 2) + 1);
    };
    use({});
    EXPECT_EQ(last_line(), "no other device: the fake has no driver\n");
    use({}, /*has_variant=*/false);
    EXPECT_EQ(last_line(), "no other device: the library has no variant for devices\n");
    use({"First fake"});
    setenv("EMULSION_NO_DEVICE", "1", 1);
    EXPECT_EQ(last_line(), "no other device: EMULSION_NO_DEVICE is set\n");
    setenv("EMULSION_NO_DEVICE", "", 1);
    EXPECT_EQ(last_line(), "opencl:0  1.0 MiB  First fake\n");
}

// Each message in full, and a folder that is neither made nor changed.
TEST_F(DevicePrograms, DeviceThatIsNotThere) {
    const auto expect_refused = [&](const std::string& device, int code, const std::string& text) {
        for (const char* run : {"new", "run"}) {
            const ProgramResult result = train(run, {"--device", device, "--overwrite"});
            EXPECT_EQ(result.exit_code, code);
            EXPECT_EQ(result.err, text);
        }
        const ProgramResult result =
            run_fake_infer({"--data", data_.path(), "--weights", "x", "--device", device});
        EXPECT_EQ(result.exit_code, code);
        EXPECT_EQ(result.err, text);
    };
    ASSERT_EQ(train("run", {}).exit_code, 0);
    const auto before = files("run");
    expect_refused("opencl:2", 1,
                   std::string("error: --device opencl:2: there is no such device, but 2 others") +
                       kFixMissing);
    expect_refused("opencl:x", 2,
                   "error: --device: 'opencl:x' has no number behind the colon\n"
                   "  fix: for example opencl:0\n");
    expect_refused("vulkan:0", 2,
                   "error: --device: 'vulkan:0' is none of those that the program runs on: cpu, "
                   "opencl\n  fix: choose one of them, or auto or gpu\n");
    use({});
    expect_refused("gpu", 1,
                   std::string("error: --device gpu: there is no device: the fake has no driver") +
                       kFixMissing);
    setenv("EMULSION_NO_DEVICE", "1", 1);
    expect_refused(
        "opencl", 1,
        std::string("error: --device opencl: there is no device: EMULSION_NO_DEVICE is set") +
            kFixMissing);
    use({}, /*has_variant=*/false);
    expect_refused(
        "gpu", 2,
        "error: --device: 'gpu' is none of those that the program runs on: cpu\n"
        "  fix: choose cpu, or build the network with --target native,cuda,opencl,vulkan\n");
    EXPECT_EQ(files("run"), before);
    EXPECT_FALSE(is_folder(runs_ / "new"));
}

TEST_F(DevicePrograms, MemoryTooSmall) {
    FakeNetwork network;
    network.has_device_variant = true;
    network.devices = {"First fake"};
    network.device_bytes = 100;
    for (const auto& [batch, fix] :
         {std::pair{0, "no --batch is small enough: choose another device"},
          std::pair{8, "build the network with --batch 8 or less"}}) {
        network.largest_batch = batch;
        use_fake_network(network);
        const ProgramResult result = train("run", {"--device", "gpu"});
        EXPECT_EQ(result.exit_code, 1);
        EXPECT_EQ(result.err.find("error: --device opencl:0: First fake has 100 bytes of memory, "
                                  "but the network needs "),
                  0u)
            << result.err;
        EXPECT_TRUE(result.err.ends_with(std::string("\n  fix: ") + fix +
                                         ", or run it with --device cpu\n"))
            << result.err;
    }
    EXPECT_FALSE(is_folder(runs_ / "run"));
}

// What another interface of the library would take counts for nothing.
TEST_F(DevicePrograms, MemoryIsThatOfTheInterface) {
    FakeNetwork network;
    network.has_device_variant = true;
    network.devices = {"First fake"};
    network.elsewhere_bytes = network.device_bytes;
    use_fake_network(network);
    const ProgramResult result =
        run_fake_train({"--data", data_.path(), "--dry-run", "--device", "gpu", "--json"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(nlohmann::json::parse(result.out)["device_bytes"]["workspace"], 64);
}

TEST_F(DevicePrograms, VariantIsForTheProcessor) {
    EXPECT_EQ(train("run", {"--device", "gpu", "--variant", "avx2"}).err,
              "error: --variant: is for the processor, but --device is opencl:0\n"
              "  fix: leave one of the two out\n");
    EXPECT_EQ(train("run", {"--variant", "opencl"}).err,
              "error: --variant: 'opencl' is for devices\n  fix: give --device opencl instead\n");
    EXPECT_EQ(run_fake_infer({"--benchmark", "--stay-awake", "--device", "gpu"}).err,
              "error: --stay-awake: is for the processor\n  fix: leave it out with --device\n");
}

TEST_F(DevicePrograms, SettingsNameTheDevice) {
    const auto plan = [&](std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {"--data", data_.path(), "--dry-run"});
        return run_fake_train(std::move(arguments)).out;
    };
    const std::string text = plan({"--device", "opencl:1"});
    EXPECT_NE(text.find("\nvariant    opencl\ndevice     opencl:1, Second fake\n"),
              std::string::npos)
        << text;
    EXPECT_EQ(text.find("threads"), std::string::npos) << text;
    EXPECT_EQ(text.find("  workspace  "), std::string::npos) << text;
    EXPECT_NE(text.find("  workspace of the device  "), std::string::npos) << text;
    const auto json = nlohmann::json::parse(plan({"--device", "gpu", "--json"}));
    EXPECT_EQ(json["device"], "opencl:0");
    EXPECT_EQ(json["device_name"], "First fake");
    EXPECT_EQ(json["bytes"]["workspace"], 0);
    EXPECT_EQ(json["device_bytes"]["workspace"], 64);
    EXPECT_EQ(nlohmann::json::parse(plan({"--json"}))["device"], "cpu");
    EXPECT_EQ(plan({}).find("device"), std::string::npos);
    use({});
    EXPECT_NE(plan({"--device", "auto"}).find("\ndevice     cpu, as the fake has no driver\n"),
              std::string::npos);
}

// Parameters and state are carried there before the first step and back before whatever reads them:
// all files are those of the processor, byte for byte, and so are validation and test.
TEST_F(DevicePrograms, SameFilesAsOnTheProcessor) {
    const std::vector<std::string> options{"--validation", "0.2", "--checkpoint-minutes",
                                           "0.00001"};
    const auto with = [&](const char* device) {
        std::vector<std::string> all = options;
        all.insert(all.end(), {"--device", device, "--json"});
        return all;
    };
    const ProgramResult here = train("cpu", with("cpu")), there = train("opencl", with("gpu"));
    EXPECT_EQ(here.exit_code, 0) << here.err;
    EXPECT_EQ(there.exit_code, 0) << there.err;
    EXPECT_EQ(files("cpu"), files("opencl"));
    const auto test_line = [](const std::string& out) { return out.substr(out.find("\"test\"")); };
    EXPECT_EQ(test_line(here.out), test_line(there.out));
}

// Though the next step is handed in before anyone knows.
TEST_F(DevicePrograms, ALossThatIsNotFiniteNamesItsStep) {
    fake_hooks().infinite_step = 20;
    const ProgramResult here = train("cpu", {}), there = train("opencl", {"--device", "gpu"});
    EXPECT_EQ(here.exit_code, 1);
    EXPECT_EQ(there.exit_code, 1);
    EXPECT_EQ(here.err.substr(here.err.find("error: ")),
              there.err.substr(there.err.find("error: ")));
    EXPECT_NE(here.err.find("step 21 "), std::string::npos) << here.err;
    EXPECT_EQ(files("cpu"), files("opencl"));
}

// A run may change its device at every checkpoint.
TEST_F(DevicePrograms, GoesOnElsewhere) {
    ASSERT_EQ(train("whole", {"--epochs", "3"}).exit_code, 0);
    fake_hooks().signal = SIGTERM;
    fake_hooks().signal_step = 7;
    EXPECT_EQ(train("run", {"--epochs", "3", "--device", "gpu"}).exit_code, 128 + SIGTERM);
    fake_hooks().signal_step = 20;
    EXPECT_EQ(train("run", {"--resume"}).exit_code, 128 + SIGTERM);
    fake_hooks() = {};
    EXPECT_EQ(train("run", {"--resume", "--device", "opencl:1"}).exit_code, 0);
    EXPECT_EQ(files("run"), files("whole"));
}

// What was trained when the device is lost is lost; the checkpoint before it stays, and goes on.
TEST_F(DevicePrograms, LostDevice) {
    ASSERT_EQ(train("whole", {"--device", "gpu"}).exit_code, 0);
    const std::vector<FakeHooks> faults{{.lost_step = 20}, {.lost_download = 5}};
    for (size_t i = 0; i < faults.size(); i++) {
        const std::string run = "run" + std::to_string(i);
        fake_hooks() = faults[i];
        const ProgramResult lost = train(run, {"--device", "gpu"});
        EXPECT_EQ(lost.exit_code, 1);
        EXPECT_EQ(lost.err,
                  std::string("error: fake ") + (i == 0 ? "step" : "download") +
                      ": device opencl:0 (Fake): clFinish: the fake device is lost\n"
                      "  fix: run it again, where a checkpoint was kept with --resume, or with "
                      "--device cpu\n");
        fake_hooks() = {};
        EXPECT_EQ(train(run, {"--resume", "--device", "gpu"}).exit_code, 0);
        EXPECT_EQ(files(run), files("whole"));
    }
}

// The average would need the weights of every step.
TEST_F(DevicePrograms, AveragedWeightsAreOfTheProcessor) {
    const ProgramResult refused = train("run", {"--device", "gpu", "--ema", "0.9"});
    EXPECT_EQ(refused.exit_code, 2);
    EXPECT_EQ(refused.err,
              "error: --ema: the averaged weights are kept on the processor, but the run is on "
              "opencl:0\n  fix: add --device cpu\n");
    ASSERT_EQ(train("run", {"--device", "cpu", "--ema", "0.9", "--steps", "1"}).exit_code, 0);
    EXPECT_EQ(train("run", {"--device", "gpu", "--resume"}).err,
              "error: --device: the averaged weights are kept on the processor, but the run is on "
              "opencl:0\n  fix: add --device cpu\n");
}

// A file of the device's times, with its speed.
TEST_F(DevicePrograms, ProfileOfADevice) {
    const std::string file = runs_ / "profile.json";
    const ProgramResult trained =
        run_fake_train({"--data", data_.path(), "--device", "gpu", "--profile=" + file});
    EXPECT_EQ(trained.exit_code, 0) << trained.err;
    EXPECT_NE(
        trained.err.find("profile written to " + file +
                         "; emulsion show MODEL --emit=roofline --profile=" + file + " reads it\n"),
        std::string::npos)
        << trained.err;
    const auto json = nlohmann::json::parse(read_text(file));
    EXPECT_EQ(json["device"], "opencl:0");
    EXPECT_EQ(json["variant"], "opencl");
    EXPECT_EQ(json["machine"], nlohmann::json::parse(R"({"peak": 1e12, "launch": 5e-6, "bandwidth":
        [{"bytes": 4194304, "read": 3e12, "write": 2e12},
         {"bytes": 16777216, "read": 4e11, "write": 3e11}]})"));
    EXPECT_EQ(json["calls"][0]["kernels"].size(), 2u);
    EXPECT_EQ(run_fake_infer({"--device", "opencl:1", "--profile=" + file}).exit_code, 0);
    const auto second = nlohmann::json::parse(read_text(file));
    EXPECT_EQ(second["device"], "opencl:1");
    EXPECT_EQ(second["machine"]["peak"], 2e12);
}

// The times are kept; emulsion show says what it lacks (tests/plan/roofline_test.cpp).
TEST_F(DevicePrograms, SpeedThatCannotBeMeasured) {
    const std::string file = runs_ / "profile.json";
    fake_hooks().has_no_speed = true;
    const ProgramResult result =
        run_fake_train({"--data", data_.path(), "--device", "gpu", "--profile=" + file});
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_NE(result.err.find("profile written to " + file +
                              ", but no roofline can be made of it: the speed of opencl:0 cannot "
                              "be measured: the fake has no room\n"),
              std::string::npos)
        << result.err;
    const auto json = nlohmann::json::parse(read_text(file));
    EXPECT_FALSE(json.contains("machine"));
    EXPECT_EQ(json["calls"][0]["kernels"].size(), 2u);
}

TEST_F(DevicePrograms, InferenceThere) {
    ASSERT_EQ(train("run", {}).exit_code, 0);
    const std::string weights = runs_ / "run/weights.safetensors";
    const auto classify = [&](const char* device) {
        return run_fake_infer(
            {"--data", data_.path(), "--weights", weights, "--take", "5", "--device", device});
    };
    const ProgramResult there = classify("opencl:1");
    EXPECT_EQ(there.exit_code, 0) << there.err;
    EXPECT_EQ(there.out, classify("cpu").out);
    const std::string text = run_fake_infer({"--benchmark", "--device", "gpu"}).out;
    EXPECT_EQ(text.find("fake, opencl:0, First fake\n"), 0u) << text;
}

}  // namespace
}  // namespace emulsion
