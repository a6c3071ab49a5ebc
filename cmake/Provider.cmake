# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The provider, built inside rdma-core's source tree (see fetch-rdma-core):
# providers/odp is linked into it, hooked into its list of providers, and that
# one provider is built.

include_guard()

# Provider ABI of the libibverbs to work with: 34 from rdma-core 44 (Debian 12)
# to 56 (Debian 13). It is part of the file name that libibverbs looks for.
set(ODP_PROVIDER_ABI 34 CACHE STRING "Private provider ABI number of libibverbs")
set(ODP_RDMA_CORE_SOURCE "" CACHE PATH "An rdma-core source tree to take, in place of fetching one")

find_program(NINJA_PROGRAM ninja)
find_program(PKG_CONFIG_PROGRAM pkg-config)
if(NOT NINJA_PROGRAM OR NOT PKG_CONFIG_PROGRAM)
  message(FATAL_ERROR "The provider needs ninja and pkg-config (Debian: apt install ninja-build pkg-config), "
    "or do without it by -DODP_PROVIDER=OFF")
endif()
foreach(library libnl-3.0 libnl-route-3.0 libudev)
  execute_process(COMMAND ${PKG_CONFIG_PROGRAM} --exists ${library} RESULT_VARIABLE missing)
  if(missing)
    message(FATAL_ERROR "The provider needs ${library} "
      "(Debian: apt install libnl-3-dev libnl-route-3-dev libudev-dev), or do without it by -DODP_PROVIDER=OFF")
  endif()
endforeach()

set(source ${CMAKE_CURRENT_SOURCE_DIR}/providers/odp)
set(core ${CMAKE_CURRENT_BINARY_DIR}/rdma-core)
set(provider ${core}/build/lib/libodp-rdmav${ODP_PROVIDER_ABI}.so)
file(GLOB sources CONFIGURE_DEPENDS ${source}/*.c ${source}/*.h ${source}/CMakeLists.txt)

if(EXISTS ${source}/CMakeLists.txt)
  add_custom_command(OUTPUT ${core}/fetched
    COMMAND ${CMAKE_SOURCE_DIR}/cmake/fetch-rdma-core ${core} ${ODP_PROVIDER_ABI} ${ODP_RDMA_CORE_SOURCE}
    COMMAND ${CMAKE_COMMAND} -E touch ${core}/fetched
    DEPENDS ${CMAKE_SOURCE_DIR}/cmake/fetch-rdma-core
    COMMENT "Fetching rdma-core's source" VERBATIM USES_TERMINAL)

  # The one edit: our directory joins the list of providers.
  add_custom_command(OUTPUT ${core}/configured
    COMMAND ${CMAKE_COMMAND} -E rm -rf ${core}/src/providers/odp
    COMMAND ${CMAKE_COMMAND} -E create_symlink ${source} ${core}/src/providers/odp
    COMMAND sed -i -e "/^add_subdirectory(providers.odp)/d"
      -e "/^add_subdirectory(providers.rxe)/a add_subdirectory(providers/odp)" ${core}/src/CMakeLists.txt
    COMMAND grep -q "^add_subdirectory(providers/odp)" ${core}/src/CMakeLists.txt
    COMMAND ${CMAKE_COMMAND} -S ${core}/src -B ${core}/build -G Ninja -Wno-dev --log-level=WARNING --no-warn-unused-cli
      -DCMAKE_BUILD_TYPE=${CMAKE_BUILD_TYPE} -DCMAKE_INSTALL_PREFIX=${CMAKE_INSTALL_PREFIX}
      -DNO_PYVERBS=1 -DNO_MAN_PAGES=1 -DENABLE_STATIC=0 -DCMAKE_SKIP_RPATH=ON -DODP_UAPI_DIR=${ODP_UAPI_DIR}
    COMMAND ${CMAKE_COMMAND} -E touch ${core}/configured
    DEPENDS ${core}/fetched
    COMMENT "Configuring rdma-core" VERBATIM)

  # ninja sees itself what changed in the provider.
  add_custom_command(OUTPUT ${provider}
    COMMAND ${NINJA_PROGRAM} -C ${core}/build lib/libodp-rdmav${ODP_PROVIDER_ABI}.so
    COMMAND ${CMAKE_COMMAND} -E touch ${provider}
    DEPENDS ${core}/configured ${sources} ${ODP_UAPI_DIR}/odp-abi.h
    COMMENT "Building the provider" VERBATIM)
  add_custom_target(provider ALL DEPENDS ${provider})

  file(CONFIGURE OUTPUT odp.driver CONTENT "driver odp\n")
  install(PROGRAMS ${provider} DESTINATION ${CMAKE_INSTALL_LIBDIR}/libibverbs)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/odp.driver DESTINATION ${CMAKE_INSTALL_FULL_SYSCONFDIR}/libibverbs.d)
endif()
