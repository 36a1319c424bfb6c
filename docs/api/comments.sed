# // in front of a declaration -> ///, // behind one -> ///<. A file begins with its own comment.
1s|^|/// \\file\n|
s|^( *)// ?|\1/// |
s|^( *[^ /].*[;,{]) +// |\1 ///< |
