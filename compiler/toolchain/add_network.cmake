# emulsion_add_network(NAME FILE [INFERENCE] [BATCH N] [INFER_BATCH N...] [TARGET TARGET] [THREADS N] [SET NAME=VALUE...] [OPTIONS ...])
#
# Compiles the network in FILE (a model program or a .emu file), whose model is called NAME, and makes the targets
#     NAME::train, NAME::infer    static libraries with their C headers
#     NAME-train, NAME-infer      the programs (targets that build them; they lie beside the libraries)
# With INFERENCE, for a model without a loss, those of inference alone.
function(emulsion_add_network name file)
    cmake_parse_arguments(PARSE_ARGV 2 network "INFERENCE" "BATCH;TARGET;THREADS" "INFER_BATCH;SET;OPTIONS")
    if(network_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "emulsion_add_network(${name}): unknown argument '${network_UNPARSED_ARGUMENTS}'\n"
                            "  fix: use INFERENCE, BATCH, INFER_BATCH, TARGET, THREADS, SET or OPTIONS")
    endif()
    cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
    set(folder ${CMAKE_CURRENT_BINARY_DIR}/${name})
    set(flags ${network_OPTIONS})
    if(network_BATCH)
        list(APPEND flags --batch ${network_BATCH})
    endif()
    if(network_TARGET)
        list(APPEND flags --target ${network_TARGET})
    endif()
    if(network_THREADS)
        list(APPEND flags --threads ${network_THREADS})
    endif()
    foreach(batch ${network_INFER_BATCH})
        list(APPEND flags --infer-batch ${batch})
    endforeach()
    foreach(setting ${network_SET})
        list(APPEND flags --set ${setting})
    endforeach()

    # The tool states its products in the dependency file, and refuses a model with other ones.
    string(MAKE_C_IDENTIFIER ${name} symbol)
    set(modes train infer)
    set(purpose training)
    if(network_INFERENCE)
        set(modes infer)
        set(purpose inference)
    endif()
    list(APPEND flags --expect-name ${name} --expect-purpose ${purpose})
    set(products)
    foreach(mode ${modes})
        list(APPEND products ${folder}/${symbol}_${mode}.a ${folder}/${symbol}_${mode}.h
             ${folder}/${symbol}_${mode}.json ${folder}/${name}-${mode})
    endforeach()
    add_custom_command(
        OUTPUT ${products}
        COMMAND emulsion build ${file} -o ${folder} --depfile ${folder}/products.d ${flags}
        DEPFILE ${folder}/products.d
        DEPENDS emulsion libemulsion emulsion_data emulsion_program emulsion_train emulsion_infer ${file}
        COMMENT "Compiling the network ${name}" VERBATIM)
    foreach(mode ${modes})
        add_custom_target(${name}-${mode} DEPENDS ${products})
        file(MAKE_DIRECTORY ${folder})
        add_library(${name}_${mode}_archive STATIC IMPORTED GLOBAL)
        set_target_properties(${name}_${mode}_archive PROPERTIES IMPORTED_LOCATION ${folder}/${symbol}_${mode}.a
            INTERFACE_INCLUDE_DIRECTORIES ${folder} INTERFACE_LINK_LIBRARIES "Threads::Threads;m")
        add_dependencies(${name}_${mode}_archive ${name}-${mode})
        add_library(${name}::${mode} ALIAS ${name}_${mode}_archive)
    endforeach()
    # One command makes both programs: without this, two parallel targets would run it twice.
    if(NOT network_INFERENCE)
        add_dependencies(${name}-infer ${name}-train)
    endif()
endfunction()
