module checkout

go 1.21
