# The API page of the client library: target `docs` makes it, the test docs.api fails on every public name without a
# comment and on every other warning.
find_program(DOXYGEN doxygen REQUIRED)
set(docs_command ${CMAKE_COMMAND} -E env DOLMEN_DOCS_OUTPUT=${PROJECT_BINARY_DIR}/docs ${DOXYGEN} docs/api/Doxyfile)
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/docs)
add_custom_target(docs COMMAND ${docs_command} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
  COMMENT "Writing ${PROJECT_BINARY_DIR}/docs/html/index.html" VERBATIM)
add_test(NAME docs.api COMMAND ${docs_command} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
set_tests_properties(docs.api PROPERTIES LABELS unit TIMEOUT 60)
