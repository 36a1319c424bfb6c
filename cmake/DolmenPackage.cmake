# Debian packages, by CPack: `cmake --build build/release --target debs` builds what they hold and writes them to
# build/release/packages. (CMake's own target `package` does the same after building everything else, tests included.)
#
#   dolmen-namenode, dolmen-datanode   the daemons, each with its unit and settings; they make the user dolmen and the
#                                      daemon's directory when they are installed
#   dolmen-client                      the `dolmen` command and its settings
#   libdolmen-dev                      what find_package(Dolmen) finds
#
# What only packages hold is EXCLUDE_FROM_ALL: `cmake --install` writes nothing outside of its prefix.

set(DOLMEN_PACKAGE_MAINTAINER "Dolmen maintainers <maintainers@dolmen.invalid>" CACHE STRING
  "Name and address of whoever makes these packages")
set(package_files ${PROJECT_BINARY_DIR}/package_files)

# dolmen_package_settings(name head [setting value]): the sample, with a head, and the one setting that has no default.
function(dolmen_package_settings name head)
  file(READ deploy/config/${name}.toml settings)
  if(ARGN)
    set(sample "${settings}")
    string(REPLACE "\n#${ARGV2} = \"\"\n" "\n${ARGV2} = \"${ARGV3}\"\n" settings "${sample}")
    if(settings STREQUAL sample)
      message(FATAL_ERROR "deploy/config/${name}.toml has no line #${ARGV2} = \"\"")
    endif()
  endif()
  file(WRITE ${package_files}/etc/${name}.toml "${head}\n\n${settings}")
  file(WRITE ${package_files}/${name}/conffiles "/etc/dolmen/${name}.toml\n")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/deploy/config/${name}.toml)
  install(FILES ${package_files}/etc/${name}.toml DESTINATION /etc/dolmen COMPONENT ${name} EXCLUDE_FROM_ALL)
endfunction()

# The unit, and the maintainer's scripts. `first_steps` is what is printed after the first installation.
function(dolmen_package_daemon daemon first_steps)
  install(FILES deploy/systemd/dolmen-${daemon}.service DESTINATION lib/systemd/system
    COMPONENT ${daemon} EXCLUDE_FROM_ALL)
  set(control ${package_files}/${daemon}/conffiles)
  foreach(script postinst prerm postrm)
    configure_file(deploy/packages/${script}.in ${package_files}/${daemon}/${script} @ONLY)
    list(APPEND control ${package_files}/${daemon}/${script})
  endforeach()
  string(TOUPPER ${daemon} name)
  set(CPACK_DEBIAN_${name}_PACKAGE_CONTROL_EXTRA "${control}" PARENT_SCOPE)
endfunction()

# What a package's copyright file speaks of, its own and that of the archives linked into it.
function(dolmen_package_copyright component package)
  install(FILES deploy/packages/copyright DESTINATION share/doc/${package} COMPONENT ${component} EXCLUDE_FROM_ALL)
  foreach(linked ${ARGN})
    install(FILES /usr/share/doc/${linked}/copyright DESTINATION share/doc/${package}/linked RENAME ${linked}
      COMPONENT ${component} EXCLUDE_FROM_ALL OPTIONAL)
  endforeach()
endfunction()

dolmen_package_settings(namenode
"# Settings of the namenode. A line like #name = value shows a default. `systemctl restart dolmen-namenode` after a
# change; each can also be a variable (DOLMEN_NAMENODE_PORT) or a flag (--namenode-port), which are stronger."
  namenode_metadata_dir /var/lib/dolmen/namenode)
dolmen_package_settings(datanode
"# Settings of the datanode. A line like #name = value shows a default. `systemctl restart dolmen-datanode` after a
# change; each can also be a variable (DOLMEN_DATANODE_PORT) or a flag (--datanode-port), which are stronger."
  datanode_data_dirs /var/lib/dolmen/datanode)
dolmen_package_settings(client
"# Settings of the dolmen command for everybody on this machine. A line like #name = value shows a default. Whoever has
# a ~/.dolmen/client.toml has that instead; variables (DOLMEN_FS) and -D fs=... are stronger than both.")

dolmen_package_daemon(namenode
"dolmen-namenode is not started: a new cluster's namespace is made first, once:
  runuser -u dolmen -- dolmen-namenode --format --config /etc/dolmen/namenode.toml
  systemctl start dolmen-namenode")
dolmen_package_daemon(datanode
"dolmen-datanode is not started: set its namenode and data directories first:
  editor /etc/dolmen/datanode.toml
  systemctl start dolmen-datanode")

set(linked libgrpc-dev libprotobuf-dev libabsl-dev libc-ares-dev libre2-dev libssl-dev)
dolmen_package_copyright(namenode dolmen-namenode ${linked})
dolmen_package_copyright(datanode dolmen-datanode ${linked})
dolmen_package_copyright(client dolmen-client ${linked} libbz2-dev libzstd-dev)
dolmen_package_copyright(dev libdolmen-dev)
install(FILES README.md DESTINATION share/doc/dolmen-client COMPONENT client EXCLUDE_FROM_ALL)
install(DIRECTORY docs/ DESTINATION share/doc/dolmen-client/docs COMPONENT client EXCLUDE_FROM_ALL
  FILES_MATCHING PATTERN "*.md")

set(CPACK_GENERATOR DEB)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_COMPONENTS_ALL namenode datanode client dev)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_PACKAGE_CONTACT "${DOLMEN_PACKAGE_MAINTAINER}")
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(what "Dolmen is a distributed filesystem with the contract of HDFS: one namenode,
many datanodes, no JVM.")
set(CPACK_DEBIAN_NAMENODE_PACKAGE_NAME dolmen-namenode)
set(CPACK_DEBIAN_NAMENODE_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_NAMENODE_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_NAMENODE_PACKAGE_RECOMMENDS dolmen-client)
set(CPACK_DEBIAN_NAMENODE_DESCRIPTION "distributed filesystem - namenode\n${what}
.
The namenode keeps the names of all files and knows which datanode has what.
A cluster has one.")

set(CPACK_DEBIAN_DATANODE_PACKAGE_NAME dolmen-datanode)
set(CPACK_DEBIAN_DATANODE_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_DATANODE_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_DATANODE_PACKAGE_RECOMMENDS dolmen-client)
set(CPACK_DEBIAN_DATANODE_DESCRIPTION "distributed filesystem - datanode\n${what}
.
A datanode keeps the bytes of files, on the disks of one machine.")

set(CPACK_DEBIAN_CLIENT_PACKAGE_NAME dolmen-client)
set(CPACK_DEBIAN_CLIENT_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_CLIENT_PACKAGE_SUGGESTS "dolmen-namenode, dolmen-datanode")
set(CPACK_DEBIAN_CLIENT_PACKAGE_CONTROL_EXTRA ${package_files}/client/conffiles)
set(CPACK_DEBIAN_CLIENT_DESCRIPTION "distributed filesystem - command line\n${what}
.
This is the dolmen command, with the flags, output and exit codes of
\"hdfs dfs\", and the documentation.")

# A static library: it goes with the Protocol Buffers it was compiled with, and no other.
execute_process(COMMAND ${PROTOC} --version OUTPUT_VARIABLE protobuf COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCH "([0-9]+)\\.([0-9]+)" protobuf "${protobuf}")
math(EXPR next_minor "${CMAKE_MATCH_2} + 1")
set(CPACK_DEBIAN_DEV_PACKAGE_NAME libdolmen-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
string(JOIN ", " CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "libprotobuf-dev (>= ${protobuf})"
  "libprotobuf-dev (<< ${CMAKE_MATCH_1}.${next_minor}~)" libgrpc++-dev libgrpc-dev libabsl-dev libc-ares-dev libre2-dev
  libssl-dev zlib1g-dev libisal-dev libspdlog-dev libfmt-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SUGGESTS cmake)
set(CPACK_DEBIAN_DEV_DESCRIPTION "distributed filesystem - client library\n${what}
.
Headers, static library and CMake package for C++20 programs:
find_package(Dolmen), Dolmen::client.")

include(CPack)
add_custom_target(debs COMMAND ${CMAKE_CPACK_COMMAND} --config ${PROJECT_BINARY_DIR}/CPackConfig.cmake
  WORKING_DIRECTORY ${PROJECT_BINARY_DIR} COMMENT "Writing packages/*.deb" VERBATIM USES_TERMINAL)
add_dependencies(debs dolmen dolmen-namenode dolmen-datanode dolmen_client_archive)
