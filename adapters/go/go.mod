module sagafuzz/worker

go 1.21
