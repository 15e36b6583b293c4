# The few functions that the folders' CMakeLists.txt use.

# sf_library(NAME [SHARED] SOURCES... ): a library of our own code, warnings as errors.
function(sf_warnings target)
  target_compile_options(${target} PRIVATE ${SF_WARNINGS})
endfunction()

# sf_controller(NAME sources... [LIBS libraries...]): a controller's shared object, and an object
# library NAME_parts for its unit tests.
function(sf_controller name)
  cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
  add_library(${name}_parts OBJECT ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name}_parts PUBLIC sandferry-proto ${ARG_LIBS})
  target_include_directories(${name}_parts PUBLIC ${CMAKE_SOURCE_DIR}/controllers)
  sf_warnings(${name}_parts)

  add_library(controller-${name} MODULE)
  target_link_libraries(controller-${name} PRIVATE ${name}_parts sandferry-proto ${ARG_LIBS})
  set_target_properties(controller-${name} PROPERTIES
    PREFIX "" OUTPUT_NAME ${name} LINKER_LANGUAGE C
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib/sandferry/controllers)
  set_property(GLOBAL APPEND PROPERTY SF_PROGRAMS controller-${name})
  install(TARGETS controller-${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/sandferry/controllers)
endfunction()

# sf_unit_test(NAME source... [LIBS libraries...]): a libcheck program; ctest runs it as NAME.
function(sf_unit_test name)
  cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
  add_executable(${name}_test ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name}_test PRIVATE ${ARG_LIBS} sandferry-proto PkgConfig::CHECK Threads::Threads)
  target_include_directories(${name}_test PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/controllers
                             ${CMAKE_SOURCE_DIR}/server ${CMAKE_SOURCE_DIR}/client ${CMAKE_SOURCE_DIR}/tests)
  sf_warnings(${name}_test)
  if(SANDFERRY_FUZZ) # the target is there, for what its folder says of it, but it is not built
    set_target_properties(${name}_test PROPERTIES EXCLUDE_FROM_ALL ON)
    return()
  endif()
  add_test(NAME ${name} COMMAND ${name}_test)
  # libcheck gives a test 4 s, which a busy machine may need for nothing.
  set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 300
                       ENVIRONMENT "CK_TIMEOUT_MULTIPLIER=10")
endfunction()

# sf_descriptor_set(VARIABLE proto...): the FileDescriptorSet of these files and all imports, as a
# C source that defines `const uint8_t NAME_files[]` and `const size_t NAME_files_size`.
function(sf_descriptor_set name out_source)
  set(set_file ${CMAKE_CURRENT_BINARY_DIR}/${name}_files.ds)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/${name}_files.c)
  set(inputs)
  foreach(file ${ARGN})
    if(EXISTS ${CMAKE_SOURCE_DIR}/proto/${file})
      list(APPEND inputs ${CMAKE_SOURCE_DIR}/proto/${file})
    endif()
  endforeach()
  file(WRITE ${source}
    "#include <stddef.h>\n#include <stdint.h>\n"
    "__asm__(\".section .rodata\\n.global ${name}_files\\n.type ${name}_files, @object\\n"
    "${name}_files:\\n.incbin \\\"${set_file}\\\"\\n"
    "${name}_files_end:\\n.balign 8\\n.global ${name}_files_size\\n"
    "${name}_files_size: .quad ${name}_files_end - ${name}_files\\n.previous\\n\");\n"
    "extern const uint8_t ${name}_files[];\nextern const size_t ${name}_files_size;\n")
  add_custom_command(OUTPUT ${set_file}
    COMMAND protoc --proto_path=${CMAKE_SOURCE_DIR}/proto --proto_path=/usr/share/grpc-proto
            --proto_path=/usr/include
            --include_imports --include_source_info --descriptor_set_out=${set_file} ${ARGN}
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}/proto
    DEPENDS ${inputs} VERBATIM)
  set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS ${set_file})
  set(${out_source} ${source} PARENT_SCOPE)
endfunction()
