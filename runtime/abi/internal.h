/* What the C files of this folder share; generated code and the compiler see instance.h alone. */
#pragma once
#include "runtime/abi/device.h"
#include "runtime/abi/instance.h"

/* The magic of an instance: whose it is, so that no library takes another version's for its own,
 * and whether it is bound or bind has failed (the message says why). */
#define EMULSION_MAGIC_NAME UINT64_C(0x6c756d45) /* "Emul" */
#define EMULSION_MAGIC(kind)                                                  \
    (EMULSION_MAGIC_NAME | (uint64_t)(sizeof(emulsion_instance) / 64) << 32 | \
     (uint64_t)EMULSION_ABI_VERSION << 48 | (uint64_t)(kind) << 56)
#define EMULSION_BOUND EMULSION_MAGIC(1)
#define EMULSION_FAILED EMULSION_MAGIC(2)

/* The third word of a training library's state, once init has written it. */
#define EMULSION_STATE_MARK UINT64_C(0x3165746174736d45) /* "Emstate1" */

#define EMULSION_SPIN_NS 20000   /* a worker between loops, before it parks */
#define EMULSION_WAIT_NS 100000  /* the caller at the end of a loop, before it parks */
#define EMULSION_MOVE_NS 1000000 /* between two moves of a worker away from the caller's CPU */
#define EMULSION_WAKES 2         /* threads that one thread wakes */
#define EMULSION_STACK_BYTES (256 * 1024) /* of a worker; the system adds a guard page */

/* error.c: every function that fails leaves its status and message in the instance. */

/* Starts the message; the parts are appended. Returns status. */
int emulsion_fail(emulsion_instance* instance, int status, const char* text);
void emulsion_append(emulsion_instance* instance, const char* text);
void emulsion_append_number(emulsion_instance* instance, int64_t number);

/* cpu.c. */

/* Sets round to nearest, denormals flushed to zero on input and output, exceptions masked; returns
 * the mode before. */
uint64_t emulsion_set_kernel_mode(void);
void emulsion_set_mode(uint64_t mode);

/* Moves the calling thread to the CPU that is number `index` (modulo their count) of the set
 * `cpus`, and the set of CPUs it may use. */
#define EMULSION_CPU_WORDS EMULSION_CPU_SET_WORDS
void emulsion_allowed_cpus(uint64_t cpus[EMULSION_CPU_WORDS]);
void emulsion_allow_cpus(const uint64_t cpus[EMULSION_CPU_WORDS]);
void emulsion_pin(const uint64_t cpus[EMULSION_CPU_WORDS], int index);

/* pool.c: the crew. */

/* Starts the threads of workers 1 .. threads - 1. On EMULSION_NO_THREADS those already started have
 * ended. */
int emulsion_crew_start(emulsion_instance* instance, int stay_awake, const uint64_t* pin_cpus);
void emulsion_crew_stop(emulsion_instance* instance);

/* A call begins: parked workers wake up now, not at the first parallel loop. A call ends: workers
 * park. */
void emulsion_crew_wake(emulsion_instance* instance);
void emulsion_crew_rest(emulsion_instance* instance);

/* arguments.c. */

int emulsion_check_call(emulsion_instance* instance, const emulsion_call* call);
int emulsion_check_rate(emulsion_instance* instance, float learning_rate);

/* call.c. */

/* The instance may run kernels: EMULSION_OK, EMULSION_FORKED or EMULSION_DEVICE_ERROR. */
int emulsion_check_alive(emulsion_instance* instance);
/* Parameters and state have values: EMULSION_OK or EMULSION_NOT_READY. */
int emulsion_check_state(emulsion_instance* instance);

/* sequence.c. */

/* As emulsion_fail; the message begins with the kernel. */
int emulsion_fail_kernel(emulsion_instance* instance, int kernel, int status);
int emulsion_run_sequence(emulsion_instance* instance, const emulsion_sequence* sequence);
double emulsion_seconds_now(void); /* of the monotonic clock */
/* `status`, or the fault where the caller's pool has broken its contract. */
int emulsion_check_pool(emulsion_instance* instance, int status);

/* choose_device.c. */

/* The variant that options.device asks for, -1 for processors, and which of its devices. */
int emulsion_choose_device(emulsion_instance* instance, const char* wanted, int* variant,
                           int* index);

/* device_speed.c: measures device `index` of the interface. EMULSION_OK or EMULSION_DEVICE_ERROR.
 */
int emulsion_device_measure(const emulsion_device_api* api, int index,
                            emulsion_device_speed* speed);

/* device_memory.c: REQUIRES a variant for devices, or an instance of it. */

/* The bytes of each class on a device. */
void emulsion_device_sizes(const emulsion_library* library, const emulsion_variant* variant,
                           emulsion_sizes* sizes);
/* The largest batch that the library may be built for to fit the device, as far as it says
 * (emulsion_device_description); 0: none. */
int32_t emulsion_device_largest_batch(const emulsion_library* library,
                                      const emulsion_variant* variant,
                                      const emulsion_device_facts* facts);
/* Where a slot of the workspace begins. Each of the two sets has inputs, outputs, and in training
 * the record of the tests; behind the last set it is the end. */
uint64_t emulsion_device_slot(const emulsion_library* library, const emulsion_variant* variant,
                              int set, int number);
/* Whether the caller hands in memory of this class; `given` may be null. */
int emulsion_is_given(const emulsion_device_memory* given, int memory_class);
/* options.device_memory, which is not null, is of the device that options.device, `wanted`, names.
 * The instance's variant may be one for processors. */
int emulsion_check_given(emulsion_instance* instance, const char* wanted);
/* Whether the device suffices for these bytes of each class, of which the caller hands in what
 * `given`, or null, says. Nothing is opened. */
int emulsion_device_check_memory(emulsion_instance* instance,
                                 const uint64_t bytes[EMULSION_CLASSES],
                                 const emulsion_device_memory* given);

/* device.c: as device_memory.c. */

/* Begins a message with the device: "device opencl:0". Returns status. */
int emulsion_fail_device(emulsion_instance* instance, int status);
/* EMULSION_DEVICE_ERROR, in the driver's words. */
int emulsion_fail_driver(emulsion_instance* instance, const char* text);
/* Opens device `index` of instance->variant, takes the memory that is given, which may be null,
 * and allocates the rest, fills the descriptors and makes all kernels ready. Where it fails,
 * nothing stays open. */
int emulsion_device_open(emulsion_instance* instance, int index,
                         const emulsion_device_memory* given);
void emulsion_device_close(emulsion_instance* instance);

/* Whether the device still works; `kernel` ran last, or -1. */
int emulsion_device_check(emulsion_instance* instance, int kernel);
int emulsion_device_finish(emulsion_instance* instance);
/* What the device holds is of the state as it is now: EMULSION_OK or EMULSION_NOT_READY. */
int emulsion_device_check_uploaded(emulsion_instance* instance);
/* Points the descriptors of inputs and outputs to a set of slots. */
int emulsion_device_use_set(emulsion_instance* instance, const emulsion_plan* plan, int set);
/* A whole class, up, but for the head of the state. */
int emulsion_device_upload(emulsion_instance* instance, int memory_class);

/* device_call.c: as device.c. */

/* Of the set that no call under way uses: 0 or 1. */
int emulsion_device_free_set(const emulsion_instance* instance);
int emulsion_device_upload_inputs(emulsion_instance* instance, const emulsion_call* call, int set);
/* Launch the tests of the loss and of the gradients. */
int emulsion_device_test_loss(emulsion_instance* instance, int set);
int emulsion_device_test_gradients(emulsion_instance* instance, int set);
/* Sets the set's mark behind a call's launches. */
int emulsion_device_mark(emulsion_instance* instance, int set);
/* A call is launched. Brings the outputs of the one before it, if that is under way; where that was
 * good, the call is under way, and its own outputs are brought now unless they are to come later.
 */
int emulsion_device_call_end(emulsion_instance* instance, const emulsion_call* call, int set,
                             int kind);
/* Brings the outputs of the call under way, if there is one, and says what its tests have found:
 * the state is then as before that step. */
int emulsion_device_settle(emulsion_instance* instance);

/* finite.c: what is said of a loss that is not finite, whose other outputs are cleared, and of the
 * gradient of a tensor, at this step. */
int emulsion_fail_loss(emulsion_instance* instance, void* const* outputs, int samples,
                       uint64_t step);
int emulsion_fail_gradient(emulsion_instance* instance, int tensor, uint64_t step);
/* call.c: what became of the gradients of this state. */
void emulsion_keep_gradients(emulsion_instance* instance, int status, uint64_t seed, uint64_t step);

/* bind.c. */

extern const char* const emulsion_class_names[EMULSION_CLASSES];

/* Enters a function of a bound instance: EMULSION_OK, EMULSION_NOT_BOUND where `block` is not one
 * of `library` (null: of any), or EMULSION_BUSY. emulsion_leave is due only after EMULSION_OK; it
 * returns `status`. */
int emulsion_enter(const emulsion_library* library, void* block);
int emulsion_leave(emulsion_instance* instance, int status);
