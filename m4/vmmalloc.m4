# SPDX-License-Identifier: BSD-3-Clause
# vmmalloc.m4: the project's own configure macros.

# VMM_CHECK_CFLAGS(VARIABLE, FLAGS): adds to VARIABLE those that the compiler takes.
AC_DEFUN([VMM_CHECK_CFLAGS], [
vmm_saved_CFLAGS=$CFLAGS
for vmm_flag in m4_normalize([$2]); do
	AC_MSG_CHECKING([whether the C compiler takes $vmm_flag])
	CFLAGS="$vmm_saved_CFLAGS -Werror $vmm_flag"
	AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
		[AC_MSG_RESULT([yes])
		$1="$$1 $vmm_flag"],
		[AC_MSG_RESULT([no])])
done
CFLAGS=$vmm_saved_CFLAGS])

# VMM_JEMALLOC: finds the position independent archive of jemalloc that the private
# copy is made from, and sets JEMALLOC_ARCHIVE: the distribution's, one that is named,
# or one that make builds from JEMALLOC_SOURCE.
AC_DEFUN([VMM_JEMALLOC], [
AC_ARG_WITH([jemalloc],
	[AS_HELP_STRING([--with-jemalloc=ARCHIVE],
		[position independent archive of jemalloc 5.3
		@<:@libjemalloc_pic.a beside the library that pkg-config finds@:>@])],
	[], [with_jemalloc=])
AC_ARG_WITH([jemalloc-source],
	[AS_HELP_STRING([--with-jemalloc-source=DIR],
		[an unpacked release of jemalloc 5.3, to build the archive from])],
	[], [with_jemalloc_source=])
AS_CASE([$with_jemalloc], [yes|no],
	[AC_MSG_ERROR([--with-jemalloc takes the name of an archive])])
AS_CASE([$with_jemalloc_source], [yes|no],
	[AC_MSG_ERROR([--with-jemalloc-source takes the name of a directory])])
AS_IF([test -n "$with_jemalloc_source"], [VMM_JEMALLOC_FROM_SOURCE],
	[VMM_JEMALLOC_FROM_ARCHIVE])
AM_CONDITIONAL([JEMALLOC_FROM_SOURCE], [test -n "$with_jemalloc_source"])
AC_SUBST([JEMALLOC_SOURCE])
AC_SUBST([JEMALLOC_ARCHIVE])])

AC_DEFUN([VMM_JEMALLOC_FROM_SOURCE], [
AC_MSG_CHECKING([for the source of jemalloc])
AS_IF([test -x "$with_jemalloc_source/configure"], [],
	[AC_MSG_RESULT([no])
	AC_MSG_ERROR([no $with_jemalloc_source/configure: --with-jemalloc-source
takes the directory of an unpacked release])])
JEMALLOC_SOURCE=`cd "$with_jemalloc_source" && pwd`
vmm_jemalloc_version=`sed 's/-.*//' "$JEMALLOC_SOURCE/VERSION" 2>/dev/null`
AC_MSG_RESULT([$vmm_jemalloc_version])
AS_CASE([$vmm_jemalloc_version], [[5.[3-9]*]], [],
	[AC_MSG_ERROR([jemalloc 5.3 is needed])])
# For the largest pages that kernels of the architecture have: jemalloc's may be larger
# than the system's, but not smaller.
AS_CASE([$host_cpu],
	[aarch64*|loongarch*|mips*|powerpc*], [JEMALLOC_PAGE=--with-lg-page=16],
	[sparc*], [JEMALLOC_PAGE=--with-lg-page=13])
AC_SUBST([JEMALLOC_PAGE])
JEMALLOC_ARCHIVE=`pwd`/jemalloc/lib/libjemalloc_pic.a])

AC_DEFUN([VMM_JEMALLOC_FROM_ARCHIVE], [
AC_MSG_CHECKING([for jemalloc's version])
PKG_CHECK_EXISTS([jemalloc],
	[vmm_jemalloc_version=`$PKG_CONFIG --modversion jemalloc`],
	[vmm_jemalloc_version=unknown])
AC_MSG_RESULT([$vmm_jemalloc_version])
AS_IF([test -z "$with_jemalloc"], [
	AS_IF([test "$vmm_jemalloc_version" = unknown],
		[AC_MSG_ERROR([jemalloc not found by pkg-config: install
libjemalloc-dev, name an archive with --with-jemalloc=ARCHIVE, or a release's source
with --with-jemalloc-source=DIR])])
	PKG_CHECK_EXISTS([jemalloc >= 5.3.0], [],
		[AC_MSG_ERROR([jemalloc $vmm_jemalloc_version found, 5.3 is needed])])
	JEMALLOC_ARCHIVE=`$PKG_CONFIG --variable=libdir jemalloc`/libjemalloc_pic.a
], [JEMALLOC_ARCHIVE=$with_jemalloc
	vmm_jemalloc_version="named by --with-jemalloc"])
AC_MSG_CHECKING([for jemalloc's position independent archive])
AS_IF([test -r "$JEMALLOC_ARCHIVE"], [AC_MSG_RESULT([$JEMALLOC_ARCHIVE])],
	[AC_MSG_RESULT([no])
	AC_MSG_ERROR([no $JEMALLOC_ARCHIVE: name one with --with-jemalloc=ARCHIVE,
or a release's source with --with-jemalloc-source=DIR])])
AS_CASE([$JEMALLOC_ARCHIVE], [[/*]], [],
	[JEMALLOC_ARCHIVE=`pwd`/$JEMALLOC_ARCHIVE])
AC_MSG_CHECKING([whether it has the names of lib/jemalloc.syms])
AS_IF([vmm_missing=`NM="$NM_TOOL" $srcdir/lib/private-jemalloc.sh check \
		$srcdir/lib/jemalloc.syms "$JEMALLOC_ARCHIVE" 2>&1`],
	[AC_MSG_RESULT([yes])],
	[AC_MSG_RESULT([no])
	AC_MSG_ERROR([$vmm_missing])])])

# VMM_CHECK_LIBRARY: Check, for unit tests; without it they are skipped.
AC_DEFUN([VMM_CHECK_LIBRARY], [
AC_MSG_CHECKING([for Check, for unit tests])
PKG_CHECK_EXISTS([check >= 0.15],
	[vmm_check=`$PKG_CONFIG --modversion check`
	CHECK_CFLAGS=`$PKG_CONFIG --cflags check`
	CHECK_LIBS=`$PKG_CONFIG --libs check`],
	[vmm_check="no (not built: install Check)"])
AC_MSG_RESULT([$vmm_check])
AC_SUBST([CHECK_CFLAGS])
AC_SUBST([CHECK_LIBS])
AM_CONDITIONAL([HAVE_CHECK], [test -n "$CHECK_LIBS"])])
