# `cmake --install`: programs, the client library with its headers, and the package for find_package(Dolmen).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# One archive of all that Dolmen::client is made of, so that users link one file.
set(parts client client_core rpc_frames rpc_relay rpc_channels rpc_client rpc_convert rpc_status dolmen_proto common)
set(archive ${PROJECT_BINARY_DIR}/libdolmen_client.a)
set(script "CREATE ${archive}\n")
foreach(part ${parts})
  string(APPEND script "ADDLIB $<TARGET_FILE:${part}>\n")
endforeach()
file(GENERATE OUTPUT ${archive}.mri CONTENT "${script}SAVE\nEND\n")
add_custom_command(OUTPUT ${archive}
  COMMAND ${CMAKE_COMMAND} -E rm -f ${archive}
  COMMAND sh -c "\"$0\" -M < \"$1\"" ${CMAKE_AR} ${archive}.mri
  DEPENDS ${parts} ${archive}.mri
  COMMENT "Joining libdolmen_client.a" VERBATIM)
add_custom_target(dolmen_client_archive ALL DEPENDS ${archive})

install(TARGETS dolmen RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT client)
install(TARGETS dolmen-namenode RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT namenode)
install(TARGETS dolmen-datanode RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT datanode)
install(FILES ${archive} DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev)
install(FILES client/dolmen/client.h common/dolmen/error.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/dolmen COMPONENT dev)
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs FILES_MATCHING PATTERN "*.md")

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Dolmen)
configure_package_config_file(cmake/DolmenConfig.cmake.in ${PROJECT_BINARY_DIR}/DolmenConfig.cmake
  INSTALL_DESTINATION ${package_dir} PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/DolmenConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/DolmenConfig.cmake ${PROJECT_BINARY_DIR}/DolmenConfigVersion.cmake
  cmake/DolmenArchives.cmake DESTINATION ${package_dir} COMPONENT dev)
