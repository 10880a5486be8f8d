// SPDX-License-Identifier: BSD-3-Clause
// work.go: a program that go compiles. Its C code allocates with malloc.
package main

/*
#include <stdlib.h>
#include <string.h>
static char *copies(const char *text, int n) {
	size_t length = strlen(text);
	char *all = calloc((size_t)n, length + 1);
	for (int i = 0; i < n; i++)
		strcat(all + (i > 0 ? (size_t)(i - 1) * length : 0), text);
	return all;
}
*/
import "C"

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os/exec"
	"sort"
	"sync"
	"unsafe"
)

func work(n int) string {
	text := C.CString(fmt.Sprintf("number %d;", n))
	defer C.free(unsafe.Pointer(text))
	all := C.copies(text, C.int(n%200+1))
	defer C.free(unsafe.Pointer(all))
	return C.GoString(all)
}

func main() {
	var group sync.WaitGroup
	results := make([]string, 2000)
	for i := range results {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			results[i] = work(i)
		}(i)
	}
	group.Wait()
	sort.Strings(results)
	data, _ := json.Marshal(results)
	fmt.Printf("%d %x\n", len(data), sha256.Sum256(data))
	for i := 0; i < 5; i++ {
		out, err := exec.Command("sh", "-c", fmt.Sprintf("echo child; exit %d", i)).Output()
		fmt.Println(string(out), err)
	}
	C.exit(4)
}
