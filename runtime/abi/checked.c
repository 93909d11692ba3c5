/* What the kernels of a library built with `--checked` call where a check fails. The code that is
 * returned ends the kernel and becomes the status of the call, whose message names the kernel.
 *
 * Halide passes values to each function that are not read here; on x86-64 and aarch64 a C function
 * may be called with more arguments than it takes. */
#define CHECK(name, code)          \
    int name(void* user_context);  \
    int name(void* user_context) { \
        (void)user_context;        \
        return code;               \
    }

CHECK(halide_error_bounds_inference_call_failed, -1)
CHECK(halide_error_extern_stage_failed, -1)
CHECK(halide_error_explicit_bounds_too_small, -2)
CHECK(halide_error_bad_type, -3)
CHECK(halide_error_access_out_of_bounds, -4)
CHECK(halide_error_buffer_allocation_too_large, -5)
CHECK(halide_error_buffer_extents_too_large, -6)
CHECK(halide_error_constraints_make_required_region_smaller, -7)
CHECK(halide_error_constraint_violated, -8)
CHECK(halide_error_param_too_small_i64, -9)
CHECK(halide_error_param_too_small_u64, -9)
CHECK(halide_error_param_too_small_f64, -9)
CHECK(halide_error_param_too_large_i64, -10)
CHECK(halide_error_param_too_large_u64, -10)
CHECK(halide_error_param_too_large_f64, -10)
CHECK(halide_error_out_of_memory, -11)
CHECK(halide_error_buffer_argument_is_null, -12)
CHECK(halide_error_unaligned_host_ptr, -24)
CHECK(halide_error_bad_fold, -25)
CHECK(halide_error_fold_factor_too_small, -26)
CHECK(halide_error_requirement_failed, -27)
CHECK(halide_error_buffer_extents_negative, -28)
CHECK(halide_error_specialize_fail, -31)
CHECK(halide_error_host_is_null, -34)
CHECK(halide_error_bad_extern_fold, -35)
CHECK(halide_error_buffer_is_null, -38)
CHECK(halide_error_bad_dimensions, -43)
CHECK(halide_error_device_dirty_with_no_device_support, -44)
CHECK(halide_error_storage_bound_too_small, -45)
CHECK(halide_error_split_factor_not_positive, -46)
