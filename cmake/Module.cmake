# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The kernel module, built by the kernel's own makefiles for the headers in
# ODP_KERNEL_HEADERS. kbuild writes beside its sources, so it works on a tree
# of symbolic links in the build directory.

include_guard()

# The kernel that the test guest boots; without one, the newest 6.1 headers.
function(odp_default_kernel_headers out)
  set(release ${CMAKE_CURRENT_SOURCE_DIR}/.cache/kernel/release)
  if(DEFINED ENV{ODP_CACHE})
    set(release $ENV{ODP_CACHE}/kernel/release)
  endif()
  if(EXISTS ${release})
    file(STRINGS ${release} kernel LIMIT_COUNT 1)
    set(found /usr/src/linux-headers-${kernel})
  else()
    file(GLOB all /usr/src/linux-headers-6.1.*-amd64)
    list(SORT all COMPARE NATURAL)
    list(POP_BACK all found)
  endif()
  set(${out} "${found}" PARENT_SCOPE)
endfunction()

odp_default_kernel_headers(default)
if(NOT ODP_KERNEL_HEADERS)
  unset(ODP_KERNEL_HEADERS CACHE) # nothing was found last time
endif()
set(ODP_KERNEL_HEADERS "${default}" CACHE PATH "Build directory of the kernel to build the module for")
if(NOT EXISTS "${ODP_KERNEL_HEADERS}/Makefile")
  message(FATAL_ERROR
    "No kernel headers in '${ODP_KERNEL_HEADERS}': install them (Debian: apt install linux-headers-amd64), "
    "name them by -DODP_KERNEL_HEADERS=DIR, or do without the module by -DODP_MODULE=OFF")
endif()
find_program(MAKE_PROGRAM make)
if(NOT MAKE_PROGRAM)
  message(FATAL_ERROR "make is missing: the kernel module is built by it (Debian: apt install make)")
endif()

# odp_kernel_module(NAME SOURCE BINARY): builds SOURCE's NAME.ko into BINARY.
function(odp_kernel_module name source binary)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS
    ${source}/*.c ${source}/*.h ${source}/Kbuild ${source}/Makefile)
  # What a kbuild run in the source tree leaves there is no source.
  list(FILTER sources EXCLUDE REGEX "\\.mod\\.c$")

  # A list of the sources that changes only when a file comes or goes.
  set(list)
  foreach(path IN LISTS sources)
    file(RELATIVE_PATH relative ${source} ${path})
    string(APPEND list "${relative}\n")
  endforeach()
  file(CONFIGURE OUTPUT ${binary}.list CONTENT "${list}" @ONLY)
  add_custom_command(OUTPUT ${binary}.links
    COMMAND ${CMAKE_SOURCE_DIR}/cmake/link-tree ${source} ${binary} ${binary}.list
    COMMAND ${CMAKE_COMMAND} -E touch ${binary}.links
    DEPENDS ${binary}.list ${CMAKE_SOURCE_DIR}/cmake/link-tree
    COMMENT "Linking the sources of ${name}.ko to ${binary}" VERBATIM)

  include(ProcessorCount)
  ProcessorCount(cpus)
  add_custom_command(OUTPUT ${binary}/${name}.ko
    COMMAND ${MAKE_PROGRAM} --no-print-directory -j${cpus} -C ${ODP_KERNEL_HEADERS} M=${binary} modules
    COMMAND ${CMAKE_COMMAND} -E touch ${binary}/${name}.ko
    DEPENDS ${binary}.links ${sources} ${ODP_KERNEL_HEADERS}/Module.symvers
    COMMENT "Building ${name}.ko for ${ODP_KERNEL_HEADERS}" VERBATIM USES_TERMINAL)
  add_custom_target(module_${name} ALL DEPENDS ${binary}/${name}.ko)
endfunction()

if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/kernel/Kbuild)
  odp_kernel_module(rdma_odp ${CMAKE_CURRENT_SOURCE_DIR}/kernel ${CMAKE_CURRENT_BINARY_DIR}/kernel)
endif()
