// The order of calls: every sequence of up to four against a small model; gradients and values that
// belong to another step; who may call while a call runs.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include "tests/runtime/abi_support.h"

namespace emulsion::testing {
namespace {

constexpr std::array kNames = {"init",   "bind", "prepare", "run",    "forward_backward",
                               "update", "step", "unbind",  "upload", "download"};
constexpr int kActions = static_cast<int>(kNames.size());

// Memory that nothing has been called on yet, and the calls.
struct Untouched {
    Untouched() {
        emulsion_library_sizes(&fake.library, 1, &memory.sizes);
        for (int i = 0; i < EMULSION_CLASSES; i++) {
            blocks.emplace_back(memory.sizes.bytes[i]);
            memory.block[i] = blocks.back().get();
        }
        options.threads = 1;
    }
    ~Untouched() { emulsion_library_unbind(&fake.library, instance()); }
    void* instance() const { return memory.block[EMULSION_INSTANCE]; }

    int act(int action) {
        const emulsion_call call = {kBatch, 0, inputs, outputs};
        const emulsion_library* library = &fake.library;
        switch (action) {
            case 0:
                return emulsion_library_init(library, 7, &memory);
            case 1:
                return emulsion_library_bind(library, instance(), &memory, &options);
            case 2:
                return emulsion_library_prepare(library, instance());
            case 3:
                return emulsion_library_run(library, instance(), &call);
            case 4:
                return emulsion_library_forward_backward(library, instance(), &call);
            case 5:
                return emulsion_library_update(library, instance(), 0.1f);
            case 6:
                return emulsion_library_step(library, instance(), &call, 0.1f);
            case 7:
                return emulsion_library_unbind(library, instance());
            case 8:
                return emulsion_library_upload(library, instance(), EMULSION_PARAMETERS);
            default:
                return emulsion_library_download(library, instance(), EMULSION_GRADIENTS);
        }
    }
    int act(const std::string& name) {
        for (int i = 0; i < kActions; i++) {
            if (name == kNames[static_cast<std::size_t>(i)]) return act(i);
        }
        return -1;
    }
    std::string error() const { return emulsion_library_error(&fake.library, instance()); }

    FakeLibrary fake;
    emulsion_memory memory = {};
    emulsion_options options = {};
    std::vector<Block> blocks;
    alignas(64) float x[kBatch * kWidth] = {1}, y[kBatch] = {};
    alignas(64) float loss[16] = {};
    const void* inputs[1] = {x};
    void* outputs[2] = {y, loss};
};

// What the header promises.
struct Model {
    bool has_values = false, is_bound = false, is_prepared = false, has_gradients = false;
    int step = 0, gradient_step = 0;

    int act(int action) {
        if (action == 0) {
            has_values = true;
            step = 0;
            return EMULSION_OK;
        }
        if (action == 1) {
            is_bound = true;
            is_prepared = has_gradients = false;
            return EMULSION_OK;
        }
        if (!is_bound) return EMULSION_NOT_BOUND;
        if (action == 2) is_prepared = true;
        if (action == 3) return is_prepared ? EMULSION_OK : EMULSION_NOT_READY;
        if ((action == 4 || action == 6) && !has_values) return EMULSION_NOT_READY;
        if (action == 4) {
            has_gradients = true;
            gradient_step = step;
        }
        if (action == 5 && (!has_gradients || gradient_step != step)) return EMULSION_NOT_READY;
        if (action == 5 || action == 6) {
            has_gradients = false;
            step++;
        }
        if (action == 7) is_bound = false;
        return EMULSION_OK;
    }
};

TEST(AbiOrder, EverySequenceOfUpToFourCalls) {
    int sequences = 0;
    for (int length = 1, count = kActions; length <= 4; length++, count *= kActions) {
        for (int number = 0; number < count; number++, sequences++) {
            Untouched memory;
            Model model;
            std::string text;
            for (int i = 0, rest = number; i < length; i++, rest /= kActions) {
                const int action = rest % kActions;
                text += std::string(" ") + kNames[static_cast<std::size_t>(action)];
                const int expected = model.act(action), status = memory.act(action);
                ASSERT_EQ(status, expected) << text << ": " << memory.error();
                if (action == 0 || status == EMULSION_NOT_BOUND) continue;
                if (status == EMULSION_OK && action != 7) {
                    ASSERT_EQ(memory.error(), "no error") << text;
                } else if (status == EMULSION_NOT_READY) {
                    ASSERT_NE(memory.error().find(": call "), std::string::npos) << text;
                }
            }
        }
    }
    EXPECT_EQ(sequences, 10 + 100 + 1000 + 10000);
}

TEST(AbiOrder, MessagesNameTheMissingCall) {
    Untouched memory;
    ASSERT_EQ(memory.act("bind"), EMULSION_OK);
    EXPECT_EQ(memory.act("step"), EMULSION_NOT_READY);
    EXPECT_EQ(memory.error(),
              "parameters and state have no values: call init, or load a checkpoint");
    EXPECT_EQ(memory.act("run"), EMULSION_NOT_READY);
    EXPECT_EQ(memory.error(), "the weights are not prepared: call prepare after bind");
    EXPECT_EQ(memory.act("update"), EMULSION_NOT_READY);
    EXPECT_EQ(memory.error(), "there are no gradients: call forward_backward before each update");
    ASSERT_EQ(memory.act("init"), EMULSION_OK);
    ASSERT_EQ(memory.act("step"), EMULSION_OK);
    ASSERT_EQ(memory.act("forward_backward"), EMULSION_OK);
    ASSERT_EQ(memory.act("init"), EMULSION_OK);
    EXPECT_EQ(memory.act("update"), EMULSION_NOT_READY);
    EXPECT_EQ(memory.error(),
              "the gradients are those of step 1 before init or a checkpoint: call "
              "forward_backward again");
}

// Gradients are of a seed too: a checkpoint of another run, of the same step.
TEST(AbiOrder, GradientsOfAnotherRunAreRefused) {
    Untouched memory;
    for (const char* action : {"init", "bind", "forward_backward"})
        ASSERT_EQ(memory.act(action), EMULSION_OK);
    static_cast<std::uint64_t*>(memory.memory.block[EMULSION_STATE])[0]++;
    EXPECT_EQ(memory.act("update"), EMULSION_NOT_READY);
    EXPECT_EQ(memory.act("forward_backward"), EMULSION_OK);
    EXPECT_EQ(memory.act("update"), EMULSION_OK);
}

TEST(AbiOrder, AFailedKernelLeavesNothingReady) {
    Untouched memory;
    static bool fails;
    fails = true;
    for (emulsion_kernel* kernel : {memory.fake.backward, memory.fake.prepare})
        *kernel = [](emulsion_instance*) { return fails ? -4 : 0; };
    ASSERT_EQ(memory.act("init"), EMULSION_OK);
    ASSERT_EQ(memory.act("bind"), EMULSION_OK);
    EXPECT_EQ(memory.act("prepare"), -4);
    EXPECT_EQ(memory.act("run"), EMULSION_NOT_READY);
    EXPECT_EQ(memory.act("forward_backward"), -4);
    EXPECT_EQ(memory.act("update"), EMULSION_NOT_READY);
    fails = false;
}

// ---- Busy ----

// From inside a call: everything on the same instance is refused, and changes nothing.
void expect_busy(Untouched& memory) {
    for (int action = 1; action < kActions; action++) {
        EXPECT_EQ(memory.act(action), EMULSION_BUSY) << kNames[static_cast<std::size_t>(action)];
        EXPECT_EQ(memory.error(), "another call is running on this instance");
    }
}

TEST(AbiBusy, FromTheProfileCallback) {
    Untouched memory;
    static int calls;
    calls = 0;
    memory.options.profile_self = &memory;
    memory.options.profile = [](void* self, int, double) {
        calls++;
        expect_busy(*static_cast<Untouched*>(self));
    };
    ASSERT_EQ(memory.act("init"), EMULSION_OK);
    ASSERT_EQ(memory.act("bind"), EMULSION_OK);
    for (const char* action : {"prepare", "run", "forward_backward", "update", "step"})
        EXPECT_EQ(memory.act(action), EMULSION_OK) << action;
    EXPECT_EQ(calls, 1 + 1 + 2 + 1 + 3);
    EXPECT_EQ(memory.error(), "no error");
}

TEST(AbiBusy, FromTheCallersPool) {
    Untouched memory;
    struct Self {
        Untouched* memory;
        int loops = 0;
    } self{&memory};
    emulsion_pool pool = {};
    pool.self = &self;
    pool.threads = 1;
    pool.parallel_for = [](void* me, void (*task)(void*, int, int), void* closure, int count) {
        auto& inner = *static_cast<Self*>(me);
        inner.loops++;
        expect_busy(*inner.memory);
        for (int index = 0; index < count; index++) task(closure, 1, index);
    };
    pool.threads = 2;
    emulsion_library_sizes(&memory.fake.library, 2, &memory.memory.sizes);
    for (int i = 0; i < EMULSION_CLASSES; i++) {
        memory.blocks.emplace_back(memory.memory.sizes.bytes[i]);
        memory.memory.block[i] = memory.blocks.back().get();
    }
    memory.options.pool = &pool;
    ASSERT_EQ(memory.act("init"), EMULSION_OK);
    ASSERT_EQ(memory.act("bind"), EMULSION_OK);
    EXPECT_EQ(memory.act("step"), EMULSION_OK);
    EXPECT_EQ(self.loops, 2);
}

// A call that waits in its kernel until it is let go.
std::atomic<bool> is_inside, may_leave;

int wait_inside(emulsion_instance* instance) {
    *static_cast<float*>(instance->descriptors[kLoss].host) = 0;
    is_inside = true;
    while (!may_leave) std::this_thread::yield();
    return 0;
}

class AbiBusyThread : public ::testing::Test {
  protected:
    void SetUp() override {
        is_inside = may_leave = false;
        memory_.fake.forward[0] = wait_inside;
        for (const char* action : {"init", "bind", "prepare"})
            ASSERT_EQ(memory_.act(action), EMULSION_OK);
        thread_ = std::thread([this] { status_ = memory_.act("run"); });
        while (!is_inside) std::this_thread::yield();
    }
    void TearDown() override {
        may_leave = true;
        if (thread_.joinable()) thread_.join();
        EXPECT_EQ(status_, EMULSION_OK);
        EXPECT_EQ(memory_.act("run"), EMULSION_OK);
    }
    Untouched memory_;
    std::thread thread_;
    int status_ = -1;
};

TEST_F(AbiBusyThread, AnotherThreadIsRefused) { expect_busy(memory_); }

// A child of fork has no thread that would ever end the call.
TEST_F(AbiBusyThread, AForkedChildIsNotBusy) {
    const pid_t child = fork();
    if (child == 0) {
        may_leave = true;
        if (memory_.act("run") != EMULSION_OK) _exit(1);
        if (memory_.act("bind") != EMULSION_OK) _exit(2);
        _exit(memory_.act("unbind") == EMULSION_OK ? 0 : 3);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace emulsion::testing
