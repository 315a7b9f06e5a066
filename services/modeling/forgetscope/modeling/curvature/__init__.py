"""The Hessian of the answer loss: products, eigenvalues, trace, density, displacement.

    selection       which parameters: all, LoRA factors, layers, prefixes
    objective       the loss: micro-batches, one division by all tokens; attention and dtype
    products        gradient; Hessian-vector products, exact and by finite differences
    layered         the exact product with the memory of one layer
    self_check      may a product be believed?
    solvers         eigenvalues by Lanczos
    trace, density  Hutch++; stochastic Lanczos quadrature
    displacement    predicted and measured change of the loss along θ_B − θ_A
    memory          bytes that a product needs, estimated before it starts

Solvers see an `operators.Operator` only: anything that multiplies a vector.
"""
