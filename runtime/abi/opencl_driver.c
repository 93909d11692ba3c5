/* The driver of OpenCL: the loader of drivers, libOpenCL.so.1, which finds those of the vendors. */
#include "runtime/abi/opencl_driver.h"

#include "runtime/abi/device_base.h"

const emulsion_opencl_driver* emulsion_opencl_stand_in;

#define EMULSION_NAME(result, name, arguments) #name,
static const char* const names[] = {EMULSION_OPENCL_FUNCTIONS(EMULSION_NAME)};
#undef EMULSION_NAME

static union {
    emulsion_opencl_driver driver;
    void* functions[sizeof names / sizeof *names];
} found;
_Static_assert(sizeof found.driver == sizeof found.functions, "a pointer for each name");

static emulsion_driver driver = EMULSION_DRIVER("OpenCL", "libOpenCL.so.1", names, found.functions);

const emulsion_opencl_driver* emulsion_opencl_find(char text[EMULSION_DEVICE_TEXT]) {
    if (emulsion_opencl_stand_in != NULL) return emulsion_opencl_stand_in;
    return emulsion_driver_find(&driver, text) ? &found.driver : NULL;
}

const char* emulsion_opencl_error_name(int code) {
    /* Of -1 on, and of -30 on. */
    static const char* const of_run_time[] = {"CL_DEVICE_NOT_FOUND",
                                              "CL_DEVICE_NOT_AVAILABLE",
                                              "CL_COMPILER_NOT_AVAILABLE",
                                              "CL_MEM_OBJECT_ALLOCATION_FAILURE",
                                              "CL_OUT_OF_RESOURCES",
                                              "CL_OUT_OF_HOST_MEMORY",
                                              "CL_PROFILING_INFO_NOT_AVAILABLE",
                                              "CL_MEM_COPY_OVERLAP",
                                              "CL_IMAGE_FORMAT_MISMATCH",
                                              "CL_IMAGE_FORMAT_NOT_SUPPORTED",
                                              "CL_BUILD_PROGRAM_FAILURE",
                                              "CL_MAP_FAILURE",
                                              "CL_MISALIGNED_SUB_BUFFER_OFFSET",
                                              "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST",
                                              "CL_COMPILE_PROGRAM_FAILURE",
                                              "CL_LINKER_NOT_AVAILABLE",
                                              "CL_LINK_PROGRAM_FAILURE",
                                              "CL_DEVICE_PARTITION_FAILED",
                                              "CL_KERNEL_ARG_INFO_NOT_AVAILABLE"};
    static const char* const of_arguments[] = {
        "CL_INVALID_VALUE",           "CL_INVALID_DEVICE_TYPE",
        "CL_INVALID_PLATFORM",        "CL_INVALID_DEVICE",
        "CL_INVALID_CONTEXT",         "CL_INVALID_QUEUE_PROPERTIES",
        "CL_INVALID_COMMAND_QUEUE",   "CL_INVALID_HOST_PTR",
        "CL_INVALID_MEM_OBJECT",      "CL_INVALID_IMAGE_FORMAT_DESCRIPTOR",
        "CL_INVALID_IMAGE_SIZE",      "CL_INVALID_SAMPLER",
        "CL_INVALID_BINARY",          "CL_INVALID_BUILD_OPTIONS",
        "CL_INVALID_PROGRAM",         "CL_INVALID_PROGRAM_EXECUTABLE",
        "CL_INVALID_KERNEL_NAME",     "CL_INVALID_KERNEL_DEFINITION",
        "CL_INVALID_KERNEL",          "CL_INVALID_ARG_INDEX",
        "CL_INVALID_ARG_VALUE",       "CL_INVALID_ARG_SIZE",
        "CL_INVALID_KERNEL_ARGS",     "CL_INVALID_WORK_DIMENSION",
        "CL_INVALID_WORK_GROUP_SIZE", "CL_INVALID_WORK_ITEM_SIZE",
        "CL_INVALID_GLOBAL_OFFSET",   "CL_INVALID_EVENT_WAIT_LIST",
        "CL_INVALID_EVENT",           "CL_INVALID_OPERATION",
        "CL_INVALID_GL_OBJECT",       "CL_INVALID_BUFFER_SIZE",
        "CL_INVALID_MIP_LEVEL",       "CL_INVALID_GLOBAL_WORK_SIZE"};
    enum {
        kRunTime = sizeof of_run_time / sizeof *of_run_time,
        kArguments = sizeof of_arguments / sizeof *of_arguments
    };
    if (code == CL_PLATFORM_NOT_FOUND_KHR) return "CL_PLATFORM_NOT_FOUND_KHR";
    if (code <= -1 && code >= -kRunTime) return of_run_time[-code - 1];
    if (code <= -30 && code > -30 - kArguments) return of_arguments[-code - 30];
    return "error";
}
