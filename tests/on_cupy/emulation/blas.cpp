// The few functions of cuBLAS that CuPy calls for products of real matrices.
//
// They become `libcublas.so.13`; `build.py` adds stubs for all others: they answer "not supported".
// Matrices are stored by columns, as in all of BLAS. Sums are taken in double, so the rounding is
// not the real library's; TF32 does not exist here.

#include <cstddef>
#include <cstdint>
#include <vector>

enum Status { SUCCESS = 0, INVALID_VALUE = 7 };
enum Type { FLOAT = 0, DOUBLE = 1, HALF = 2 };  // cudaDataType

extern "C" {
long long emulated_products = 0;  // counts matrix products; a batched call counts as one
int emulated_products_only = 0;   // count, but compute nothing
}

typedef _Float16 half;

struct Matrix {
    const void *data;
    int type, leading;
    bool transposed;
};

template <class T> static void copy(const Matrix &a, int rows, int columns, double *dense) {
    const T *data = (const T *)a.data;
    for (int64_t j = 0; j < columns; j++)
        for (int64_t i = 0; i < rows; i++)
            dense[i + j * rows] = a.transposed ? data[j + i * a.leading] : data[i + j * a.leading];
}

// A matrix, transposed if it says so, as dense columns of doubles.
static std::vector<double> dense(const Matrix &a, int rows, int columns) {
    std::vector<double> result((size_t)rows * columns);
    if (a.type == FLOAT) copy<float>(a, rows, columns, result.data());
    if (a.type == DOUBLE) copy<double>(a, rows, columns, result.data());
    if (a.type == HALF) copy<half>(a, rows, columns, result.data());
    return result;
}

template <class T>
static void store(T *c, int leading, int m, int j, double alpha, double beta,
                  const double *column) {
    for (int64_t i = 0; i < m; i++) {
        T &cell = c[i + (int64_t)j * leading];
        cell = (T)(alpha * column[i] + (beta != 0 ? beta * (double)cell : 0));
    }
}

// c = alpha * a @ b + beta * c, for a (m, k), b (k, n) and c (m, n).
static int multiply(int m, int n, int k, double alpha, const Matrix &a, const Matrix &b,
                    double beta, void *c, int type, int leading) {
    if (m < 0 || n < 0 || k < 0 || a.leading < (a.transposed ? k : m) ||
        b.leading < (b.transposed ? n : k) || leading < m)
        return INVALID_VALUE;
    if (emulated_products_only) return SUCCESS;
    std::vector<double> left = dense(a, m, k), right = dense(b, k, n), column(m);
    for (int64_t j = 0; j < n; j++) {
        for (double &value : column) value = 0;
        for (int64_t p = 0; p < k; p++) {
            const double factor = right[p + j * k], *source = &left[p * m];
            for (int i = 0; i < m; i++) column[i] += factor * source[i];
        }
        if (type == FLOAT) store((float *)c, leading, m, j, alpha, beta, column.data());
        if (type == DOUBLE) store((double *)c, leading, m, j, alpha, beta, column.data());
        if (type == HALF) store((half *)c, leading, m, j, alpha, beta, column.data());
    }
    return SUCCESS;
}

// alpha and beta are in the type in which the product is computed: a cublasComputeType_t.
static double scalar(const void *value, int compute) {
    if (compute == 70 || compute == 71) return *(const double *)value;
    if (compute == 64 || compute == 65) return *(const half *)value;
    return *(const float *)value;
}

static int size_of(int type) { return type == DOUBLE ? 8 : type == FLOAT ? 4 : 2; }

extern "C" {

int cublasGemmEx(void *, int ta, int tb, int m, int n, int k, const void *alpha, const void *a,
                 int a_type, int lda, const void *b, int b_type, int ldb, const void *beta, void *c,
                 int c_type, int ldc, int compute, int) {
    emulated_products++;
    return multiply(m, n, k, scalar(alpha, compute), {a, a_type, lda, ta != 0},
                    {b, b_type, ldb, tb != 0}, scalar(beta, compute), c, c_type, ldc);
}

int cublasGemmStridedBatchedEx(void *, int ta, int tb, int m, int n, int k, const void *alpha,
                               const void *a, int a_type, int lda, long long a_step, const void *b,
                               int b_type, int ldb, long long b_step, const void *beta, void *c,
                               int c_type, int ldc, long long c_step, int batch, int compute, int) {
    emulated_products++;
    int status = SUCCESS;
    for (int i = 0; i < batch && status == SUCCESS; i++)
        status = multiply(
            m, n, k, scalar(alpha, compute),
            {(const char *)a + size_of(a_type) * a_step * i, a_type, lda, ta != 0},
            {(const char *)b + size_of(b_type) * b_step * i, b_type, ldb, tb != 0},
            scalar(beta, compute), (char *)c + size_of(c_type) * c_step * i, c_type, ldc);
    return status;
}

#define FOR_TYPE(letter, T, type)                                                                 \
    int cublas##letter##gemm_v2(void *, int ta, int tb, int m, int n, int k, const T *alpha,      \
                                const T *a, int lda, const T *b, int ldb, const T *beta, T *c,    \
                                int ldc) {                                                        \
        emulated_products++;                                                                      \
        return multiply(m, n, k, *alpha, {a, type, lda, ta != 0}, {b, type, ldb, tb != 0}, *beta, \
                        c, type, ldc);                                                            \
    }                                                                                             \
    int cublas##letter##gemmBatched(void *, int ta, int tb, int m, int n, int k, const T *alpha,  \
                                    const T *const *a, int lda, const T *const *b, int ldb,       \
                                    const T *beta, T *const *c, int ldc, int batch) {             \
        emulated_products++;                                                                      \
        int status = SUCCESS;                                                                     \
        for (int i = 0; i < batch && status == SUCCESS; i++)                                      \
            status = multiply(m, n, k, *alpha, {a[i], type, lda, ta != 0},                        \
                              {b[i], type, ldb, tb != 0}, *beta, c[i], type, ldc);                \
        return status;                                                                            \
    }                                                                                             \
    int cublas##letter##gemv_v2(void *, int t, int m, int n, const T *alpha, const T *a, int lda, \
                                const T *x, int x_step, const T *beta, T *y, int y_step) {        \
        emulated_products++;                                                                      \
        int rows = t ? n : m, columns = t ? m : n; /* of the matrix, transposed if asked */       \
        return multiply(1, rows, columns, *alpha, {x, type, x_step, false},                       \
                        {a, type, lda, t == 0}, *beta, y, type, y_step);                          \
    }                                                                                             \
    int cublas##letter##dot_v2(void *, int n, const T *x, int x_step, const T *y, int y_step,     \
                               T *result) {                                                       \
        emulated_products++;                                                                      \
        double sum = 0;                                                                           \
        for (int64_t i = 0; i < n; i++) sum += (double)x[i * x_step] * y[i * y_step];             \
        *result = sum;                                                                            \
        return SUCCESS;                                                                           \
    }
FOR_TYPE(S, float, FLOAT)
FOR_TYPE(D, double, DOUBLE)

// ------------------------------------------------------------------ the handle's settings

static int pointer_mode, math_mode;
static void *current_stream;

int cublasCreate_v2(void **handle) { return *handle = &pointer_mode, SUCCESS; }
int cublasDestroy_v2(void *) { return SUCCESS; }
int cublasGetVersion_v2(void *, int *version) { return *version = 130000, SUCCESS; }
int cublasGetPointerMode_v2(void *, int *mode) { return *mode = pointer_mode, SUCCESS; }
int cublasSetPointerMode_v2(void *, int mode) { return pointer_mode = mode, SUCCESS; }
int cublasGetMathMode(void *, int *mode) { return *mode = math_mode, SUCCESS; }
int cublasSetMathMode(void *, int mode) { return math_mode = mode, SUCCESS; }
int cublasGetStream_v2(void *, void **stream) { return *stream = current_stream, SUCCESS; }
int cublasSetStream_v2(void *, void *stream) { return current_stream = stream, SUCCESS; }
int cublasSetWorkspace_v2(void *, void *, size_t) { return SUCCESS; }
}
